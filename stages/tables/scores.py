"""`data/scores/`: what `score` writes beside the review table, and the columns of its CSV files."""

FOLDER = "data/scores"
METRICS = f"{FOLDER}/metrics.json"  # a set a key: figure to number, or null where there are no pictures to compute it
GATE = f"{FOLDER}/gate.json"  # verdict: yes or no; rules: each with its figure and whether it passed

THRESHOLD_REPORT = f"{FOLDER}/threshold_report.csv"  # a row a set, the training set included
THRESHOLD_COLUMNS = (
    "set",
    "num_pictures",
    "true_positives",  # right answers at or above the threshold
    "false_positives",  # wrong ones; in a set out of scope every answer
    "true_positive_fraction",  # of all pictures of the set; empty in a set out of scope
    "true_positive_low",  # the interval's ends
    "true_positive_high",
    "false_positive_fraction",
    "false_positive_low",
    "false_positive_high",
    "coverage",  # both together, as a fraction of all pictures
    "selective_risk",  # the wrong ones among both
    "num_errors",  # at any confidence
    "truth_not_in_model",  # pictures of classes that the model does not know: errors, whatever it answers
)

PER_CLASS = f"{FOLDER}/per_class.csv"  # a row a class of the test and the validation set, most missed first
PER_CLASS_COLUMNS = (
    "set",
    "class_name",
    "in_model",
    "support",  # pictures of the class
    "precision",  # empty for a class that was never answered
    "recall",  # empty for a class without pictures
    "f1",
    "true_positives",  # of the class, answered right at or above the threshold
    "false_positives",  # of other classes, taken for this one at or above the threshold
    "num_missed",  # pictures of the class that were taken for another
    "missed_as",  # for which: the three most frequent
    "num_wrong_guesses",  # pictures of others that were taken for this one
    "wrong_guesses_of",  # of which
)

CONFUSED_PAIRS = f"{FOLDER}/confused_pairs.csv"  # a row a pair in a set, worst first
CONFUSED_COLUMNS = (
    "set",
    "truth",
    "predicted",
    "count",
    "share",  # of the truth's pictures in the set
    "weight",  # from data/confused.csv, else 1
)

BENCHMARKS = f"{FOLDER}/benchmarks.csv"  # a row a benchmark, the new model beside the base
_BENCHMARK_FIGURES = (
    "min_confidence",
    "max_confidence",
    "median_confidence",
    "mean_confidence",
    "num_at_or_above",  # answers at or above the threshold
    "num_below",
    "num_errors",  # at any confidence; empty in a set out of scope
    "truth_not_in_model",
)
BENCHMARK_COLUMNS = (
    "benchmark",
    "num_pictures",
    *_BENCHMARK_FIGURES,
    *(f"base_{name}" for name in _BENCHMARK_FIGURES),  # empty without a base
    "requirement",  # the gate's rules for it
    "passed",  # empty where there are none
)

THRESHOLD_PLOT = f"{FOLDER}/plot_threshold.csv"  # a row a threshold
THRESHOLD_PLOT_COLUMNS = (
    "threshold",
    "test_accuracy",  # of the answers at or above it
    "test_coverage",
    "validation_accuracy",
    "validation_coverage",
)
CONFUSED_PLOT = f"{FOLDER}/plot_confused.csv"  # a row a pair of the test set, most frequent first
CONFUSED_PLOT_COLUMNS = ("pair", "count")

# Whole numbers, in whichever report.
COUNTS = frozenset(
    {"num_pictures", "true_positives", "false_positives", "support", "num_missed", "num_wrong_guesses", "count"}
    | {f"{prefix}{name}" for prefix in ("", "base_") for name in _BENCHMARK_FIGURES if "confidence" not in name}
)
