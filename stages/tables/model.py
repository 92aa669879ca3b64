"""`data/model/`: the files of a trained model. The base's model has the same files."""

FOLDER = "data/model"
WEIGHTS = "model.weights.h5"
DESCRIPTION = "model.json"  # network, input size, SHA-256 of the weights, sub-classes of each class
CLASSES = "classes.json"  # the label map: class names in the order of the scores
LINEAGE = "lineage.parquet"  # every picture that this model or an ancestor was trained on
HISTORY = "history.csv"  # one row per epoch
CARRIED = "carried.csv"  # one row per class: what its row of the output layer began with
CARRIED_COLUMNS = ("class_name", "how", "base_classes")
