"""A made-up week of visitors, from the gateway to the pages of `make usage`: `make demo`."""
