"""The tables that stages hand to each other: where each stands, its columns, its key and the order of its rows."""
