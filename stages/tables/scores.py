"""`data/scores/`: what `score` writes besides the review table, and the columns of its CSV files."""

FOLDER = "data/scores"
METRICS = f"{FOLDER}/metrics.json"  # set to figures: a number each, or null where there are no pictures to compute it
GATE = f"{FOLDER}/gate.json"  # verdict: yes or no; rules: each with its figure and whether it passed
CALIBRATION = f"{FOLDER}/calibration.json"  # temperature and norm, whether applied, from what they came; scope_limit
DIGITS = 6  # decimals of the figures: a difference beyond them says nothing and clutters a review
HELD_OUT = "held_out"  # the set of all pictures of validation and test
SUMMARY = (  # what metrics.json has of every set, where it means something
    "num_pictures",
    "top_1_accuracy",
    "log_loss",
    "weighted_log_loss",
    "true_positive_fraction",
    "false_positive_fraction",
)
WANTED_ERROR = (
    f"{FOLDER}/wanted_error.json"  # the lowest threshold that keeps it, learned on validation, checked on test
)

FIGURES = f"{FOLDER}/figures.csv"  # one row per set of the new model, then of the base; ALL_SETS is a row too
ALL_SETS = "all sets"  # every picture of every set that belongs to a class
FIGURE_COLUMNS = (
    "model",  # new or base, both on the pictures of now
    "set",
    "num_pictures",
    "num_classes",  # of the model's, those that have pictures here
    "num_classes_total",  # of the model
    "truth_not_in_model",  # pictures of classes that the model does not know: errors, whatever it answers
    "num_errors",
    "top_1_accuracy",
    "top_1_low",  # the interval's ends
    "top_1_high",
    "top_5_accuracy",
    "log_loss",
    "weighted_log_loss",
    "balanced_accuracy",  # mean of the recall of each class that has pictures, as are the next three means
    "macro_f1",
    "roc_auc",
    "average_precision",
    "weighted_f1",
    "matthews_correlation",
    "true_positives",
    "false_positives",
    "true_positive_fraction",
    "false_positive_fraction",  # in a set out of scope the false-accept rate
    "macro_true_positive_fraction",  # the same two with every class that has pictures weighing the same
    "macro_false_positive_fraction",
    "coverage",
    "coverage_by_confidence",  # this and the next: if pictures that are not in scope were answered like others
    "false_positive_fraction_by_confidence",
    "selective_risk",
    "selective_risk_low",  # the interval's ends
    "selective_risk_high",
    "aurc",
    "augrc",
    "ece",
    "brier_score",
    "roc_auc_against_held_out",  # of a set out of scope: whether its confidences are below those of HELD_OUT
    "fpr_at_95_tpr",  # of a set out of scope: the share of it that is shown where 95 % of HELD_OUT are
)
CALIBRATION_REPORT = f"{FOLDER}/calibration.csv"  # one row per set with confidences as they are, one with scaled ones
CALIBRATION_COLUMNS = (
    "set",
    "confidence",  # softmax as it is; temperature or normalised_logits
    "temperature",  # 1 is without
    "norm_order",  # of the norm that logits are divided by; empty: none
    "num_pictures",
    "log_loss",
    "brier_score",
    "ece",
    "mean_confidence",
    "true_positive_fraction",
    "false_positive_fraction",
    "coverage",
    "selective_risk",
)

CONFIDENCES = f"{FOLDER}/confidences.csv"  # one row per set, model and way to a confidence; higher ones should be right
CONFIDENCE_COLUMNS = (
    "model",  # new or base
    "set",
    "confidence",  # softmax, temperature, normalised_logits, highest_logit, energy, softmax where in scope, distances
    "temperature",  # of those that are scaled, as fitted on validation
    "norm_order",
    "num_pictures",
    "aurc",  # lower is better
    "coverage_at_wanted_error",  # the largest with no more than score.wanted_error of the shown answers wrong
    "coverage",  # of HELD_OUT: what softmax shows at the threshold in use, and what the next figure grants every way
    "false_accept_rate",  # of a set out of scope: the share of it that is shown at that coverage
    "roc_auc_against_held_out",  # of a set out of scope: whether its confidences are below those of HELD_OUT
)

AGAINST_BASE = f"{FOLDER}/against_base.csv"  # one row per set, then per class of HELD_OUT, surest first
_DIFFERENCES = ("accuracy", "balanced_accuracy", "weighted_log_loss", "coverage")
AGAINST_BASE_COLUMNS = (
    "set",
    "class_name",  # empty: the whole set
    "num_pictures",
    "num_classes",  # of the base's, those that have pictures here
    "num_left_out",  # pictures of classes that the base does not know, which it cannot have right
    "both_right",  # right or, for a picture that belongs to no class, not shown
    "wins",  # only the new model
    "losses",  # only the base
    "both_wrong",
    "mcnemar_p",  # chance of a split at least as uneven, were the two equally good
    "adjusted_p",  # the same over all classes of the set: what is below 0.05 is rarely chance
    *(
        f"{name}{end}"  # new minus base, and the ends of its interval
        for name in _DIFFERENCES
        for end in ("_difference", "_difference_low", "_difference_high")
    ),
)

THRESHOLD_REPORT = f"{FOLDER}/threshold_report.csv"  # one row per set, the training set included
THRESHOLD_COLUMNS = (
    "set",
    "num_pictures",
    "num_classes",  # of the model's, those that have pictures here
    "true_positives",  # right answers at or above the threshold
    "false_positives",  # wrong ones; in a set out of scope every answer
    "true_positive_fraction",  # of all pictures of the set; empty in a set out of scope
    "true_positive_low",  # the interval's ends
    "true_positive_high",
    "false_positive_fraction",
    "false_positive_low",
    "false_positive_high",
    "macro_true_positive_fraction",  # the same two with every class that has pictures weighing the same
    "macro_false_positive_fraction",
    "coverage",  # both together, as a fraction of all pictures
    "coverage_by_confidence",  # this and the next: if pictures that are not in scope were answered like others
    "false_positive_fraction_by_confidence",
    "selective_risk",  # the wrong ones among both
    "num_errors",  # at any confidence
    "truth_not_in_model",  # pictures of classes that the model does not know: errors, whatever it answers
)

PER_CLASS = f"{FOLDER}/per_class.csv"  # one row per class of each set, most missed first
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

CONFUSED_PAIRS = f"{FOLDER}/confused_pairs.csv"  # one row per pair of each set, worst first
CONFUSED_COLUMNS = (
    "set",
    "truth",
    "predicted",
    "count",
    "share",  # of the truth's pictures in the set
    "weight",  # from data/confused.csv, else 1
)

BENCHMARKS = f"{FOLDER}/benchmarks.csv"  # one row per benchmark, the new model next to the base
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

THRESHOLD_PLOT = f"{FOLDER}/plot_threshold.csv"  # one row per set and threshold
THRESHOLD_PLOT_COLUMNS = (
    "set",
    "threshold",
    "true_positives",
    "false_positives",
    "true_positive_fraction",  # empty in a set out of scope, as selective_risk
    "false_positive_fraction",
    "coverage",
    "selective_risk",  # empty where nothing is shown
    "in_use",  # the threshold of params.yaml
)
RELIABILITY_PLOT = f"{FOLDER}/plot_reliability.csv"  # one row per bin of the confidence of each set
RELIABILITY_PLOT_COLUMNS = (
    "set",
    "confidence",  # mean, 0 to 100
    "accuracy",  # 0 to 100
    "low",  # the interval's ends, 0 to 100
    "high",
    "num_pictures",
)
RECALL_PLOT = f"{FOLDER}/plot_recall.csv"  # one row per class that has pictures of HELD_OUT, worst first
RECALL_PLOT_COLUMNS = (
    "rank",  # from 1
    "class_name",
    "recall",
    "low",  # the interval's ends
    "high",
    "support",
)
CONFUSED_PLOT = f"{FOLDER}/plot_confused.csv"  # one row per pair of HELD_OUT, most frequent first
CONFUSED_PLOT_COLUMNS = ("pair", "count")

# Whole numbers, in whichever report.
COUNTS = frozenset(
    {"num_pictures", "true_positives", "false_positives", "support", "num_missed", "num_wrong_guesses", "count"}
    | {"num_classes", "num_classes_total", "num_left_out", "both_right", "wins", "losses", "both_wrong", "rank"}
    | {"norm_order"}
    | {f"{prefix}{name}" for prefix in ("", "base_") for name in _BENCHMARK_FIGURES if "confidence" not in name}
)
