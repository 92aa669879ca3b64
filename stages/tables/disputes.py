"""`data/disputes.csv`: decisions of two people who differ, a row a person's decision; the one that counts is obeyed."""

PATH = "data/disputes.csv"
COLUMNS = ("image_id", "other", "person", "decision", "value", "on", "counts")
