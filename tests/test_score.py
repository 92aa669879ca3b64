import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from worlds import write_embeddings

from runtime.errors import InputError, InstructionError
from stages import score
from stages.labels.confused import read_confused
from stages.models.base import BASE_CALIBRATION, FILES
from stages.tables import scores
from stages.tables.embeddings import EMBEDDINGS
from stages.tables.images import IMAGES
from stages.tables.predictions import BASE_CLASSES, BASE_SCORES, CLASSES, ROWS, SCORES
from stages.tables.review import REVIEW

pytestmark = pytest.mark.slow

SPLITS = ["difficult", "least_common", "most_common", "out_of_scope", "test", "train", "validation"]
NAMES = ["ape", "bee", "cat", "dog", "eel", "fox"]


def predict(rng, truth, classes):
    """Scores of a model that is mostly right about the classes that it knows."""
    known = np.array([classes.index(name) if name in classes else 0 for name in truth])
    matrix = rng.random((len(truth), len(classes))) * 0.05
    matrix[np.arange(len(truth)), known] += 3 * rng.random(len(truth)) ** 0.3
    matrix = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix, np.array(classes)[matrix.argmax(axis=1)], 100.0 * matrix.max(axis=1)


def embed(rng, truth):
    """Embeddings in clusters, one per class, in which every picture is as far from the others."""
    centres = np.eye(9)[[NAMES.index(name) if name in NAMES else 8 for name in truth]]
    return (10 * centres + rng.random((len(truth), 9))).astype(np.float16)


@pytest.fixture
def world(workspace):
    """A predictions folder: every set, a base without the class eel, and a model that lost the class gnu."""
    rng = np.random.default_rng(3)
    split = np.repeat(SPLITS, 12)
    truth = pd.Series([*(NAMES * 14)], dtype=object)
    truth[split == "out_of_scope"] = None
    truth[(split == "difficult") & (np.arange(84) < 2)] = "gnu"
    matrix, predicted, confidence = predict(rng, truth, NAMES)
    base_names = ["ape", "bee", "cat", "dog", "fox", "gnu"]
    base_matrix, base_predicted, base_confidence = predict(rng, truth, base_names)
    ids = [f"{number:032x}" for number in range(84)]
    columns = {"image_id": ids, "split": split, "truth": truth, "predicted": predicted, "confidence": confidence}
    columns |= {"log_partition": rng.normal(5, 1, 84), "base_log_partition": rng.normal(5, 1, 84)}
    columns |= {"scope_distance": np.where(split == "out_of_scope", np.arange(84) % 12, 3) / 10}
    columns |= {"base_scope_distance": columns["scope_distance"]}
    ROWS.write(pd.DataFrame({**columns, "base_predicted": base_predicted, "base_confidence": base_confidence}))
    np.save(SCORES, matrix)
    np.save(BASE_SCORES, base_matrix)
    write_embeddings(ids, embed(rng, truth))
    Path(CLASSES).write_text(json.dumps(NAMES))
    Path(BASE_CLASSES).write_text(json.dumps(base_names))
    library = np.isin(split, ["test", "train", "validation"])
    files = {"path": [f"x/{name}" for name in ids], "set": np.where(library, "library", split), "class_name": truth}
    files["group"] = ids
    IMAGES.write(pd.DataFrame({"image_id": ids, **files}).reindex(columns=IMAGES.schema.names))
    Path("data/confused.csv").write_text("truth,predicted,weight\nape,bee,0.5\ngnu,ape,0.5\n")
    return workspace


def forget_base():
    rows = ROWS.read()
    ROWS.write(rows.assign(base_predicted=None, base_confidence=None, base_scope_distance=None))
    np.save(BASE_SCORES, np.empty((0, 0), dtype=np.float32))
    Path(BASE_CLASSES).write_text("[]")


def written():
    return {path.name: path.read_bytes() for path in sorted(Path(scores.FOLDER).iterdir())}


def test_the_same_predictions_give_the_same_bytes_and_every_output(world):
    score.main()
    first = written()
    score.main()
    assert written() == first
    paths = [scores.METRICS, scores.GATE, scores.THRESHOLD_REPORT, scores.PER_CLASS, scores.CONFUSED_PAIRS]
    paths += [scores.BENCHMARKS, scores.THRESHOLD_PLOT, scores.CONFUSED_PLOT, REVIEW.path, scores.FIGURES]
    paths += [scores.CALIBRATION, scores.CALIBRATION_REPORT, scores.WANTED_ERROR, scores.AGAINST_BASE]
    paths += [scores.RELIABILITY_PLOT, scores.RECALL_PLOT, scores.CONFIDENCES]
    assert sorted(first) == sorted(Path(path).name for path in paths)


def test_each_report_has_its_columns(world):
    score.main()
    columns = {
        scores.THRESHOLD_REPORT: scores.THRESHOLD_COLUMNS,
        scores.PER_CLASS: scores.PER_CLASS_COLUMNS,
        scores.CONFUSED_PAIRS: scores.CONFUSED_COLUMNS,
        scores.BENCHMARKS: scores.BENCHMARK_COLUMNS,
        scores.THRESHOLD_PLOT: scores.THRESHOLD_PLOT_COLUMNS,
        scores.CONFUSED_PLOT: scores.CONFUSED_PLOT_COLUMNS,
        scores.FIGURES: scores.FIGURE_COLUMNS,
        scores.AGAINST_BASE: scores.AGAINST_BASE_COLUMNS,
        scores.CALIBRATION_REPORT: scores.CALIBRATION_COLUMNS,
        scores.CONFIDENCES: scores.CONFIDENCE_COLUMNS,
        scores.RELIABILITY_PLOT: scores.RELIABILITY_PLOT_COLUMNS,
        scores.RECALL_PLOT: scores.RECALL_PLOT_COLUMNS,
    }
    assert {path: tuple(pd.read_csv(path).columns) for path in columns} == columns


def test_metrics_hold_what_design_asks_of_each_set(world):
    score.main()
    metrics = json.loads(Path(scores.METRICS).read_text())
    assert list(metrics) == [
        "held_out",
        "test",
        "validation",
        "difficult",
        "least_common",
        "most_common",
        "out_of_scope",
    ]
    everywhere = {"num_pictures", "top_1_accuracy", "log_loss", "weighted_log_loss"}
    everywhere |= {"true_positive_fraction", "false_positive_fraction"}
    more = {"num_classes", "macro_f1", "roc_auc", "matthews_correlation", "average_precision", "aurc", "ece"}
    assert set(metrics["test"]) == set(metrics["validation"]) == everywhere | more
    headline = {"num_classes_total", "balanced_accuracy", "top_5_accuracy", "coverage", "selective_risk"}
    assert set(metrics["held_out"]) == everywhere | more | headline
    assert set(metrics["difficult"]) == everywhere
    assert set(metrics["out_of_scope"]) == {"num_pictures", "false_positive_fraction"}


def test_a_left_out_class_is_counted_as_an_error_in_the_reports(world):
    score.main()
    report = pd.read_csv(scores.THRESHOLD_REPORT).set_index("set")
    assert report.index.tolist() == ["held_out", "train", "validation", "test", *SPLITS[:4], scores.ALL_SETS]
    assert report.loc["difficult", "truth_not_in_model"] == 2
    assert "out_of_scope,12," in Path(scores.THRESHOLD_REPORT).read_text()
    benchmarks = pd.read_csv(scores.BENCHMARKS).set_index("benchmark")
    assert benchmarks.loc["difficult", ["num_errors", "base_truth_not_in_model"]].tolist() == [2, 2]
    assert benchmarks.loc["difficult", "requirement"].startswith("true_positive_fraction at least 0.8; ")


def test_the_review_lists_pictures_worst_first_with_their_paths(world):
    score.main()
    review = REVIEW.read()
    assert review["rank"].tolist() == list(range(1, len(review) + 1))
    assert review.loc[review["truth"].eq("gnu"), "reason"].tolist() == ["base_right_new_wrong"] * 2
    assert (review["path"] == "x/" + review["image_id"]).all()


def test_a_picture_suspected_by_its_quality_is_in_the_review_and_last_if_nothing_else_is_wrong(world):
    score.main()
    before = REVIEW.read()
    images = IMAGES.read()
    fine, wrong = (~images["image_id"].isin(before["image_id"])).idxmax(), before["image_id"].iloc[0]
    images.loc[fine, "faults"] = "blurred"
    images.loc[images["image_id"] == wrong, "faults"] = "dark, tiny"
    IMAGES.write(images)
    score.main()
    review = REVIEW.read()
    assert len(review) == len(before) + 1
    assert review.iloc[0][["image_id", "faults"]].tolist() == [wrong, "dark, tiny"]
    assert review.iloc[-1][["image_id", "reason", "faults"]].tolist() == [
        images.loc[fine, "image_id"], "suspected_bad_picture", "blurred",
    ]  # fmt: skip


def test_a_picture_that_a_person_confirmed_is_left_out_of_the_review(world, caplog):
    score.main()
    before, images = REVIEW.read()["image_id"].tolist(), IMAGES.read()
    IMAGES.write(images.assign(confirmed=images["image_id"] == before[1]))
    with caplog.at_level(logging.INFO):
        score.main()
    assert REVIEW.read()["image_id"].tolist() == [before[0], *before[2:]]
    assert "1 picture that people confirmed left out of the review" in caplog.text


def of_row(number):
    """The review of one row of the world, by its number there."""
    return REVIEW.read().set_index("image_id").loc[f"{number:032x}"].fillna("")


def relabel(number, truth, predicted):
    """Give a picture another label, and the model an answer that it is nearly sure of."""
    rows, matrix = ROWS.read(), np.load(SCORES)
    matrix[number] = 0.002 + 0.988 * np.eye(6)[NAMES.index(predicted)]
    rows.loc[number, ["truth", "predicted", "confidence"]] = [truth, predicted, 99.0]
    rows.loc[number, "base_predicted"] = "bee"
    np.save(SCORES, matrix)
    ROWS.write(rows)


def test_a_wrong_label_among_training_pictures_is_found_with_what_to_compare_it_with(world):
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("threshold: 95.0", "threshold: 99.5"))
    relabel(60, "fox", "ape")  # it lies among the apes
    score.main()
    row = of_row(60)
    assert (row["split"], row["truth"], row["predicted"]) == ("train", "fox", "ape")
    assert row[["reason", "also", "suggested"]].tolist() == ["probably_mislabelled", "wrong_though_trained", "ape"]
    apes, foxes = ([f"x/{number:032x}" for number in (60 + of, 66 + of)] for of in (0, 5))
    assert row["truth_example"] in foxes
    assert row["suggested_example"] == row["predicted_example"] == apes[1]


def test_a_label_that_the_model_learned_is_found_by_what_knows_no_label(world):
    relabel(60, "fox", "fox")  # it lies among the apes
    score.main()
    row = of_row(60)
    assert row[["reason", "predicted", "suggested"]].tolist() == ["probably_mislabelled", "fox", "ape"]
    assert row["suggested_example"] != row["predicted_example"]


def test_no_more_labels_are_doubted_than_was_asked_for(world):
    for number in (60, 61, 62):
        relabel(number, NAMES[(number + 3) % 6], NAMES[(number + 3) % 6])
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("doubted_fraction: 0.05", "doubted_fraction: 0.03"))
    score.main()
    doubted = REVIEW.read()["reason"].eq("probably_mislabelled")
    assert doubted.sum() == int(0.03 * ROWS.read()["truth"].isin(NAMES).sum()) == 2


def test_an_evaluation_picture_as_near_to_a_training_one_as_a_copy_is_shown_next_to_it(world):
    score.main()
    before = REVIEW.read()
    assert not before.loc[before["image_id"].eq(f"{50:032x}"), "reason"].eq("near_across_split").any()
    clusters = np.load(EMBEDDINGS)
    clusters[50] = clusters[63]  # a test picture, and a training picture of its class
    np.save(EMBEDDINGS, clusters)
    score.main()
    row = of_row(50)
    assert "near_across_split" in {row["reason"], *row["also"].split(", ")}
    assert row["nearest"] == f"x/{63:032x}"


def test_without_a_base_the_gate_says_so(world):
    forget_base()
    score.main()
    rules = json.loads(Path(scores.GATE).read_text())["rules"]
    assert [rule["why"] for rule in rules[-3:]] == ["no base to compare with"] * 3
    assert pd.read_csv(scores.BENCHMARKS)["base_num_errors"].isna().all()


def test_every_figure_stands_in_the_table_for_both_models_and_over_all_sets(world):
    score.main()
    table = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    assert table.index.get_level_values("model").value_counts().to_dict() == {"new": 9, "base": 9}
    metrics = json.loads(Path(scores.METRICS).read_text())
    for name in ("held_out", "test", "validation", "difficult"):
        shown = {key: value for key, value in metrics[name].items() if value is not None}
        assert table.loc[("new", name), list(shown)].to_dict() == pytest.approx(shown)
    assert table.loc[("new", scores.ALL_SETS), "num_pictures"] == 72
    right = table["top_1_accuracy"] * table["num_pictures"]
    assert right.loc["new"].drop([scores.ALL_SETS, scores.HELD_OUT]).sum() == pytest.approx(
        right.loc[("new", scores.ALL_SETS)]
    )
    assert 0.5 < table.loc[("new", "out_of_scope"), "fpr_at_95_tpr"] <= 1  # its scores are drawn like those of any set


def test_validation_and_test_together_are_the_headline(world, caplog):
    relabel(50, "ape", "bee")  # one more wrong answer, to a test picture
    caplog.set_level("INFO")
    score.main()
    table = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    for model in ("new", "base"):
        parts, held_out = table.loc[[(model, "test"), (model, "validation")]], table.loc[(model, scores.HELD_OUT)]
        assert held_out["num_pictures"] == parts["num_pictures"].sum() == 24
        for name in ("top_1_accuracy", "log_loss", "weighted_log_loss", "coverage", "brier_score"):
            assert held_out[name] == pytest.approx(parts[name].mean(), abs=1e-6)
    rows = ROWS.read()
    judged = rows["split"].isin(["test", "validation"]).to_numpy()
    areas = roc_auc_score(rows["truth"][judged], rescaled(np.load(SCORES)[judged]), multi_class="ovr", labels=NAMES)
    assert table.loc[("new", scores.HELD_OUT), "roc_auc"] == pytest.approx(areas, abs=1e-5)
    recall = (rows["truth"] == rows["predicted"])[judged].groupby(rows["truth"]).mean().mean()
    assert (
        f"top-1 accuracy {23 / 24:.1%} on 24 held-out pictures, {recall:.1%} as the mean over 6 of 6 classes"
        in caplog.text
    )


def rescaled(matrix):
    """Scores in double precision, whose rows sum to 1 as scikit-learn wants them to."""
    return matrix / matrix.sum(axis=1, keepdims=True, dtype=np.float64)


def test_the_models_are_compared_on_the_same_pictures(world):
    score.main()
    table = pd.read_csv(scores.AGAINST_BASE)
    whole = table[table["class_name"].isna()].set_index("set")
    assert whole.loc["difficult", ["num_pictures", "num_left_out"]].tolist() == [10, 2]
    assert (whole[["both_right", "wins", "losses", "both_wrong"]].sum(axis=1) == whole["num_pictures"]).all()
    assert set(table.loc[table["class_name"].notna(), "set"]) == {"held_out"}
    forget_base()
    score.main()
    assert pd.read_csv(scores.AGAINST_BASE).empty


def mislabel_validation():
    """Give validation pictures truths that are not the answer: a temperature needs some wrong ones."""
    rows = ROWS.read()
    wrong = rows.index[rows["split"] == "validation"][:3]
    rows.loc[wrong, "truth"] = rows.loc[wrong, "truth"].map(dict(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)))
    ROWS.write(rows)


def scale_by(workspace, way):
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("confidence: softmax", f"confidence: {way}"))


@pytest.mark.parametrize("way", ["temperature", "normalised_logits"])
def test_confidences_are_scaled_only_when_asked_and_figures_stand_with_and_without(world, way):
    mislabel_validation()
    score.main()
    content = json.loads(Path(scores.CALIBRATION).read_text())
    assert (content["applied"], content["num_pictures"]) == (False, 12)
    table = pd.read_csv(scores.CALIBRATION_REPORT)
    assert table["temperature"].unique().tolist() == [1.0, content["temperature"]]
    without, with_it = (
        table[(table["set"] == "validation")].set_index("temperature").loc[t] for t in (1.0, content["temperature"])
    )
    assert with_it["log_loss"] < without["log_loss"]
    before = json.loads(Path(scores.METRICS).read_text())["validation"]
    assert before["log_loss"] == without["log_loss"]

    scale_by(world, way)
    score.main()
    table = pd.read_csv(scores.CALIBRATION_REPORT)
    with_it = table[(table["set"] == "validation") & (table["confidence"] == way)].iloc[0]
    after = json.loads(Path(scores.METRICS).read_text())["validation"]
    content = json.loads(Path(scores.CALIBRATION).read_text())
    assert (content["confidence"], content["applied"]) == (way, True)
    assert (after["log_loss"], after["ece"]) == (with_it["log_loss"], with_it["ece"])
    assert after["top_1_accuracy"] == before["top_1_accuracy"]
    confidence = ROWS.read().set_index(["split", "image_id"])["confidence"]
    review = REVIEW.read().set_index(["split", "image_id"])["confidence"]
    assert (review != confidence[review.index]).all()
    assert not list(world.glob("tmp*"))


def test_every_way_to_a_confidence_is_compared_on_the_same_pictures(world):
    mislabel_validation()
    score.main()
    table = pd.read_csv(scores.CONFIDENCES).set_index(["model", "set", "confidence"]).sort_index()
    every = {"softmax", "temperature", "normalised_logits", "highest_logit", "energy", "distance"}
    every |= {"softmax_in_scope", "distance_to_class_mean"}
    assert [set(table.loc[model].index.get_level_values("confidence")) for model in ("new", "base")] == [every] * 2
    figures = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    for name in ("held_out", "test", "difficult"):
        assert table.loc[("new", name, "softmax"), "aurc"] == pytest.approx(figures.loc[("new", name), "aurc"])
    scope = table.loc["new"].loc["out_of_scope"]
    assert scope["coverage"].unique() == pytest.approx([figures.loc[("new", "held_out"), "coverage"]], abs=1e-6)
    shown = figures.loc[("new", "out_of_scope"), "false_positive_fraction_by_confidence"]
    assert scope.loc["softmax", "false_accept_rate"] <= shown  # the threshold is the last picture's that is shown
    assert scope["aurc"].isna().all() and table.loc["new"].loc["test", "false_accept_rate"].isna().all()


def test_where_validation_does_not_tell_nothing_is_scaled_though_it_is_asked(world, caplog):
    scale_by(world, "normalised_logits")
    score.main()
    content = json.loads(Path(scores.CALIBRATION).read_text())
    assert "score.confidence is normalised_logits, and the validation set does not tell a temperature" in caplog.text
    fitted = {"confidence": "normalised_logits", "temperature": None, "norm_order": None}
    assert content == {**fitted, "applied": False, "num_pictures": 12, "scope_limit": 0.3}
    assert pd.read_csv(scores.CALIBRATION_REPORT)["temperature"].unique().tolist() == [1.0]


def test_the_base_keeps_the_temperature_that_it_is_served_with(world):
    score.main()
    first = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    for path in FILES:  # whole, for `score` to take it for a base
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    Path(BASE_CALIBRATION).write_text('{"temperature": 2.0, "applied": true, "num_pictures": 9}')
    score.main()
    second = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    assert second.loc["new"].equals(first.loc["new"])
    assert second.loc[("base", "test"), "coverage"] < first.loc[("base", "test"), "coverage"]
    assert second.loc[("base", "test"), "top_1_accuracy"] == first.loc[("base", "test"), "top_1_accuracy"]


def test_a_wanted_error_that_so_few_pictures_cannot_show_gives_no_threshold(world):
    score.main()
    content = json.loads(Path(scores.WANTED_ERROR).read_text())
    assert content["threshold"] is None
    assert content["why"] == (
        "too few validation pictures: 299 right answers in a row would show it, there are 12 pictures"
    )
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("wanted_error: 0.01", "wanted_error: 0.9"))
    score.main()
    content = json.loads(Path(scores.WANTED_ERROR).read_text())
    assert content["threshold"] == 50.0
    assert content["test"]["num_wrong"] <= content["test"]["num_shown"] <= 12
    assert content["validation"]["upper_limit"] <= 0.9


def test_a_set_without_pictures_gives_null_and_fails_its_rules(world):
    rows = ROWS.read()
    keep = ~rows["split"].isin(["test", "most_common"])
    ROWS.write(rows[keep])
    for path in (SCORES, BASE_SCORES):
        np.save(path, np.load(path)[keep])
    score.main()
    metrics = json.loads(Path(scores.METRICS).read_text())
    assert metrics["test"]["num_pictures"] == metrics["most_common"]["num_pictures"] == 0
    assert metrics["test"]["roc_auc"] is metrics["most_common"]["log_loss"] is None
    gate = json.loads(Path(scores.GATE).read_text())
    whys = [rule["why"] for rule in gate["rules"] if rule["set"] in ("test", "most_common")]
    assert gate["verdict"] == "no"
    assert all(why.startswith("no pictures in ") for why in whys)


def test_a_confused_pair_weighs_less_in_the_weighted_loss_only(world):
    score.main()
    before = json.loads(Path(scores.METRICS).read_text())["test"]
    Path("data/confused.csv").write_text("truth,predicted,weight\n")
    score.main()
    after = json.loads(Path(scores.METRICS).read_text())["test"]
    assert before["log_loss"] == after["log_loss"]
    assert before["weighted_log_loss"] < after["weighted_log_loss"]


def test_absent_predictions_say_what_writes_them(world):
    Path(SCORES).unlink()
    with pytest.raises(InputError, match="predictions/scores.npy is not there: `dvc repro --force evaluate` writes it"):
        score.main()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((84, 5), np.float32), r"should be 84 rows of 6 float32 scores .* it is \(84, 5\) of float32"),
        (np.zeros((84, 6)), r"it is \(84, 6\) of float64. `dvc repro --force evaluate`"),
    ],
)
def test_a_matrix_of_another_shape_or_type_is_refused(world, matrix, message):
    np.save(SCORES, matrix)
    with pytest.raises(InputError, match=message):
        score.main()


def test_embeddings_that_are_absent_or_of_other_rows_are_refused(world):
    np.save(EMBEDDINGS, np.zeros((3, 5), np.float16))
    with pytest.raises(InputError, match=r"should be 84 rows of float16 features .* it is \(3, 5\) of float16"):
        score.main()
    Path(EMBEDDINGS).unlink()
    with pytest.raises(InputError, match="embeddings.npy is not there: `dvc repro --force embed` writes it"):
        score.main()
    write_embeddings(["f" * 32], np.ones((1, 5)))
    with pytest.raises(InputError, match=rf"lacks the picture {0:032x}. `dvc repro --force embed` writes it again"):
        score.main()


def test_answers_that_are_no_class_are_refused(world):
    ROWS.write(ROWS.read().assign(base_predicted="yak"))
    with pytest.raises(InputError, match="base_predicted one of the model's 6 classes; of its 84 rows 84 have another"):
        score.main()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the columns should be truth,predicted,weight, got nothing"),
        ("truth,guess,weight\n", "line 1: the columns should be truth,predicted,weight, got truth,guess,weight"),
        (
            "truth,predicted,weight\nape,be,0.5\n",
            "line 2: no picture and no model has the class 'be'. Did you mean 'bee'",
        ),
        ("truth,predicted,weight\n\nape,zebu,0.5\n", "line 3: .* 'zebu'. Write a class, not a sub-class"),
        ("truth,predicted,weight\nape,bee,1.5\n", "line 2: the weight should be a number from 0 to 1, got '1.5'"),
        ("truth,predicted,weight\nape,bee,nan\n", "got 'nan'"),
        ("truth,predicted,weight\nape,bee,half\n", "got 'half'"),
        ("truth,predicted,weight\nape,bee\n", "line 2: expected truth,predicted,weight, got ape,bee"),
        ("truth,predicted,weight\nape,ape,0.5\n", "line 2: truth and predicted are both 'ape'; a pair is two classes"),
        ("truth,predicted,weight\nape,bee,1\nape,bee,1\n", "line 3: ape,bee is on a line above already; keep one"),
        ('truth,predicted,weight\n"ape,bee,1\n', "is not CSV in UTF-8"),
    ],
)
def test_a_wrong_line_of_confused_pairs_is_named(tmp_path, text, message):
    path = tmp_path / "confused.csv"
    path.write_text(text)
    with pytest.raises(InstructionError, match=message):
        read_confused(path, NAMES)


def test_absent_confused_pairs_say_what_will_do(tmp_path):
    with pytest.raises(InstructionError, match="is not there: a file with the line truth,predicted,weight will do"):
        read_confused(tmp_path / "confused.csv", NAMES)


def test_confused_pairs_keep_odd_names(tmp_path):
    path = tmp_path / "confused.csv"
    path.write_text('\ufefftruth,predicted,weight\n"bird, ""鳥""",ape,0\n', encoding="utf-8")
    assert read_confused(path, ['bird, "鳥"', "ape"]).to_numpy().tolist() == [['bird, "鳥"', "ape", 0.0]]


def test_a_picture_that_is_far_from_every_class_is_not_shown_and_the_report_says_what_that_does(world):
    score.main()
    limited = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    assert json.loads(Path(scores.CALIBRATION).read_text())["scope_limit"] == 0.3
    path = world / "params.yaml"
    path.write_text(path.read_text().replace("in_scope: 0.99", "in_scope:"))
    score.main()
    free = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    assert json.loads(Path(scores.CALIBRATION).read_text())["scope_limit"] is None
    for name in ("coverage", "false_positive_fraction"):
        for when in (limited, free):
            assert when.loc["new", f"{name}_by_confidence"].tolist() == free.loc["new", name].tolist()
    rows = ROWS.read().query("split == 'out_of_scope' and confidence >= 95")
    assert 0 < (rows["scope_distance"] <= 0.3).sum() < len(rows)
    assert limited.loc[("new", "out_of_scope"), "false_positives"] == (rows["scope_distance"] <= 0.3).sum()
    assert limited.loc[("new", "held_out"), "coverage"] == free.loc[("new", "held_out"), "coverage"]


def test_the_base_keeps_the_limit_that_it_is_served_with(world):
    score.main()
    before = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    assert before.loc[("base", "held_out"), "coverage"] == before.loc[("base", "held_out"), "coverage_by_confidence"]
    for path in FILES:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    Path(BASE_CALIBRATION).write_text('{"temperature": null, "applied": false, "scope_limit": 0.1}')
    score.main()
    after = pd.read_csv(scores.FIGURES).set_index(["model", "set"])
    assert after.loc[("base", "held_out"), "coverage"] == 0
    assert after.loc["new"].equals(before.loc["new"])
