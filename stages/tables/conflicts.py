"""`data/conflicts.csv`: files that show the same thing in two classes, one row per file, and what ends each."""

PATH = "data/conflicts.csv"
COLUMNS = (
    "kind",  # same file: one image_id at two paths; same pixels; near: near-duplicates
    "picture",  # the files of one conflict have the same picture and other: an image_id; of a near pair, both
    "other",
    "image_id",
    "path",  # relative to data/
    "class_name",
    "decide",  # how a line of data/decisions begins that ends the conflict, if this file's class is right
)
