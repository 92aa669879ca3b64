"""The pages of the desk, one module per page: its queue, an item of it, and the rows that a key writes."""
