"""`data/disputes.csv`: decisions of people who differ, one row per decision; the one that `counts` is obeyed."""

PATH = "data/disputes.csv"
COLUMNS = ("image_id", "other", "person", "decision", "value", "on", "counts")
