"""The run on a rented machine, and what is installed there."""
