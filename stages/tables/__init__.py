"""The tables that stages hand to each other: where each one is, its columns, its key and the order of its rows."""
