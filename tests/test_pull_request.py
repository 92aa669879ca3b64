import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import reviewed
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from repositories import commit, dvc, run, surroundings, write

from curation.actions import Row, numbered, why
from review import changed_pictures, changes, pull_request, summary, verdict
from review.contact_sheet import COLUMNS, SIDE, contact_sheet
from review.markdown import MOST_CHARACTERS, MOST_ROWS
from review.worst_pictures import read_worst
from runtime.errors import InputError
from stages.tables.images import IMAGES
from stages.tables.review import REVIEW
from stages.tables.scores import AGAINST_BASE_COLUMNS

pytestmark = pytest.mark.slow


def test_what_changed_is_listed_by_dotted_name():
    before, after = changes.flatten({"a": {"b": 1, "c": [1]}}), changes.flatten({"a": {"b": 2, "c": [1]}, "d": None})
    assert changes.changes(before, after) == [("a.b", 1, 2)]
    assert changes.changes(after, {}) == [("a.b", 2, None), ("a.c", [1], None)]


def test_metrics_show_their_change_and_a_missing_one_a_dash():
    text = changes.metrics_section({"test.a": 0.5, "test.b": 1.0, "c": None}, {"test.a": 0.75, "test.b": 1.0, "c": 2})
    assert "| test.a | 0.5 | 0.75 | +0.25 |" in text
    assert "| c | - | 2 | - |" in text
    assert "1 metrics are unchanged" in text


FIGURES = [
    {"model": model, "set": name, "num_pictures": "40", "top_1_accuracy": accuracy, "log_loss": "", "num_classes": "9"}
    for name in ("train", "held_out")
    for model, accuracy in (("new", "0.95"), ("base", "0.9"))
]


def test_three_lines_part_what_the_pictures_did_from_what_the_model_did():
    text = verdict.causes_section(
        {"held_out": {"num_pictures": 30, "top_1_accuracy": 0.925, "log_loss": None}}, FIGURES
    )
    assert text.splitlines()[4:7] == [
        "| old model on old pictures | 30 | 0.925 | - | - | - | - | - | - |",
        "| old model on new pictures | 40 | 0.9 | - | - | - | - | 9 | - |",
        "| new model on new pictures | 40 | 0.95 | - | - | - | - | 9 | - |",
    ]
    assert "dvc pull" not in text


def test_a_base_that_is_not_here_leaves_a_line_open_and_none_at_all_leaves_no_section():
    text = verdict.causes_section(None, FIGURES)
    assert "| old model on old pictures | - | - | - | - | - | - | - | - |" in text
    assert "`dvc pull data/base/metrics.json`" in text
    assert verdict.causes_section(None, [row for row in FIGURES if row["model"] == "new"]) == ""


def test_a_class_that_came_in_is_shown_with_its_counts():
    row = dict.fromkeys(changes.COUNTED, "40") | {"class_name": "x", "included": "True"}
    out = row | {"included": "False", "train": "0"}
    text = changes.counts_section([out], [row, row | {"class_name": "y"}])
    assert "| x | out → in | 40 | 40 | 40 | 0 → 40 | 40 | 40 |" in text
    assert "| y | - → in |" in text


def test_of_many_classes_those_that_came_or_changed_most_are_shown_and_the_others_counted():
    before = [dict.fromkeys(changes.COUNTED, "40") | {"class_name": f"c{n}", "included": "True"} for n in range(99)]
    after = [row | {"train": str(41 + n)} for n, row in enumerate(before)]
    after[0] |= {"included": "False"}
    lines = changes.counts_section(before, after).splitlines()
    assert [line.split(" | ")[0] for line in lines[4:7]] == ["| c0", "| c98", "| c97"]
    assert f"And {99 - MOST_ROWS} more." in lines


def test_decisions_that_were_added_are_counted_by_person():
    line = "0" * 32 + ",remove,,2026-01-01T00:00:00.000Z,x"
    text = changes.decisions_section(
        {"d/ann.csv": f"header\n{line}\n"}, {"d/ann.csv": f"header\n{line}\n{line[:-1]}y\n"}
    )
    assert "| ann |  | 1 |  |  |  |  |" in text
    assert f"| ann | remove | {'0' * 32} |  | y |" in text


def test_a_batch_of_the_desk_is_one_line_with_what_its_pictures_share():
    reason = [why("sort", "accepted", f"hat {number}", action="ab" * 6, batch=True) for number in range(3)]
    rows = [Row(f"{number:032x}", "relabel", "hat" if number else "bee", reason[number]) for number in range(3)]
    alone = Row("f" * 32, "remove", "", why("label", "blurred", action="cd" * 6))
    lines = [f"{r.image_id},{r.decision},{r.value},2026-01-01T00:00:00.000Z,{r.why}" for r in (*numbered(rows), alone)]
    text = changes.decisions_section({}, {"d/ann.csv": "\n".join(["header", *lines, ""])})
    assert "| ann |  | 1 | 3 |  |  |  |" in text
    assert "| ann | relabel | 3 pictures | hat (2), bee (1) | sort; accepted; bulk&#58;abababababab |" in text
    assert f"| ann | remove | {'f' * 32} |  | label; blurred; act&#58;cdcdcdcdcdcd |" in text
    assert "hat 1" not in text


def compared(**values):
    return dict.fromkeys(AGAINST_BASE_COLUMNS, "") | {key: str(value) for key, value in values.items()}


def test_a_difference_is_called_better_or_worse_only_where_its_interval_leaves_out_zero():
    of_test = {"set": "test", "num_pictures": 9, "num_classes": 4, "wins": 3, "losses": 1, "mcnemar_p": 0.625}
    for name, low, high in (("accuracy", -0.1, 0.2), ("coverage", 0.01, 0.2), ("weighted_log_loss", 0.01, 0.2)):
        of_test |= {f"{name}_difference": 0.1, f"{name}_difference_low": low, f"{name}_difference_high": high}
    text = verdict.base_section([compared(**of_test)])
    assert text.splitlines()[6] == (
        "| test | 9 | 4 | 3 | 1 | 0.625 | +0.1000 (-0.1000 to +0.2000) | - | **better** +0.1000 (+0.0100 to +0.2000) "
        "| **worse** +0.1000 (+0.0100 to +0.2000) |"
    )
    assert "No class differs" in text


def test_showing_more_of_a_set_out_of_scope_is_worse():
    shown = {"coverage_difference": 0.1, "coverage_difference_low": 0.05, "coverage_difference_high": 0.2}
    text = verdict.base_section([compared(set="out_of_scope", num_pictures=9, wins=0, losses=1, **shown)])
    assert "| - | - | **worse** +0.1000 (+0.0500 to +0.2000) | - |" in text


def test_classes_that_differ_are_listed_when_chance_would_rarely_do_it():
    rows = [
        compared(set="test", class_name=name, adjusted_p=p, wins=0, losses=9) for name, p in (("a", 0.01), ("b", 1))
    ]
    text = verdict.base_section(rows)
    assert "| a | test | 0 | 9 | 0.01 |" in text
    assert "| b |" not in text


def test_without_a_base_the_review_says_so():
    assert "no base" in verdict.base_section([])


def test_a_sheet_has_a_place_for_each_picture_and_grey_for_those_that_are_absent():
    red = Image.new("RGB", (8, 8), "red")
    sheet = contact_sheet([(number, red if number < 5 else None, ()) for number in range(1, 6)])
    assert sheet.width == COLUMNS * (SIDE + 8) + 8
    assert sheet.height == 2 * (SIDE + 8) + 8
    assert sheet.getpixel((8 + SIDE // 2, 8 + SIDE // 2)) == (255, 0, 0)
    assert sheet.getpixel((8 + SIDE // 2, 16 + SIDE + SIDE // 2)) == (208, 208, 208)


def test_examples_stand_small_below_their_picture():
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    sheet = contact_sheet([(1, red, [blue, None])])
    assert sheet.getpixel((20, 8 + SIDE + 20)) == (0, 0, 255)
    assert sheet.getpixel((8 + SIDE - 20, 8 + SIDE + 20)) == (208, 208, 208)


GATE = {"verdict": "no", "rules": [{"set": "hard", "metric": "coverage", "passed": False, "why": "0.1 is below 0.5"}]}


@pytest.fixture
def repository(workspace):
    (workspace / "data/scores").mkdir()
    for path, value in (("metrics", {"test": {"log_loss": 0.5, "auc": None}}), ("gate", GATE)):
        (workspace / f"data/scores/{path}.json").write_text(json.dumps(value))
    for command in (["init", "-qb", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], check=True)
    return workspace


def review_now(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["review", *arguments])
    pull_request.main()
    return capsys.readouterr()


def test_review_prints_what_the_branch_changed(repository, monkeypatch, capsys):
    path = repository / "params.yaml"
    path.write_text(path.read_text().replace("minimum: 40", "minimum: 35"))
    (repository / "data/scores/metrics.json").write_text(json.dumps({"test": {"log_loss": 0.25}}))
    text = review_now(monkeypatch, capsys, "--base", "main").out
    assert text.startswith("## Gate: no\n\n1 of 1 rules failed.")
    assert "| test.log_loss | 0.5 | 0.25 | -0.25 |" in text
    assert "| split.minimum | 40 | 35 |" in text
    assert "## Decisions added\n\nNo change." in text
    assert "Pictures cannot be shown: `dvc pull data/scores/review.parquet data/shards` brings them." in text


def test_a_branch_compared_with_itself_says_why_there_is_nothing(repository, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["review", "--base", "HEAD"])
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--allow-empty", "--message", "All of it")
    pull_request.main()
    assert "HEAD is this very commit and nothing is changed here" in capsys.readouterr().err


def test_an_unknown_base_is_named(repository, monkeypatch):
    monkeypatch.setattr("sys.argv", ["review", "--base", "nowhere"])
    with pytest.raises(InputError, match="there is no commit 'nowhere': name a branch"):
        pull_request.main()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A git and DVC repository with shards and a review table, on a branch of its own."""
    folder = tmp_path_factory.mktemp("review") / "clone"
    folder.mkdir()
    with surroundings(folder):
        reviewed.make()
        run("git", "switch", "--quiet", "--create", "branch")
    return folder


@pytest.fixture
def world(template, tmp_path):
    shutil.copytree(template, tmp_path / "clone", symlinks=True)
    with surroundings(tmp_path / "clone"):
        yield


def test_the_worst_pictures_are_read_where_they_are_and_drawn_where_git_does_not_look(world, monkeypatch, capsys):
    shutil.rmtree("data/shards")
    shutil.rmtree("data/base")
    Path(REVIEW.path).unlink()  # what is left is DVC's cache
    columns = list(dict.fromkeys((*FIGURES[0], *verdict.CAUSED)))
    lines = [columns, *([row.get(name, "") for name in columns] for row in FIGURES)]
    write("data/scores/figures.csv", "\n".join(map(",".join, lines)))
    before = run("git", "status", "--porcelain")
    text = review_now(monkeypatch, capsys, "--link", "https://ci.example.org/17").out
    assert "[The 12 worst pictures on a sheet](https://ci.example.org/17), numbered as here." in text
    assert "| 12 | wrong | a&#124;b | c | 61.2 | - | library/a&#124;b/1.png |" in text
    assert "| 13 |" not in text
    assert "| old model on old pictures | 30 | 0.925 |" in text
    assert run("git", "status", "--porcelain") == before
    with Image.open("build/worst.jpg") as sheet:
        second = sheet.getpixel((16 + SIDE + SIDE // 2, 8 + SIDE // 2))
    assert all(abs(is_ - was) < 8 for is_, was in zip(second, reviewed.COLOURS[1], strict=True))


def test_examples_are_shown_where_the_review_table_names_them(world, monkeypatch, capsys):
    reviewed.write_review(
        truth_example=[reviewed.example(str(number)) for number in range(12, -1, -1)], predicted_example=None
    )
    assert set(read_worst(2).pictures) == {"0", "1", "12", "11"}
    assert "Below each, one typical of the truth and one typical of the answer." in review_now(monkeypatch, capsys).out


@pytest.mark.parametrize(("kept", "match"), [(0, "holds '' where the index has"), (512, "UnidentifiedImageError")])
def test_a_damaged_shard_leaves_the_review_without_pictures_and_says_why(world, monkeypatch, capsys, kept, match):
    shard = Path("data/shards/00000.tar")
    shard.write_bytes(shard.read_bytes()[:kept].ljust(2**16, b"\0"))
    told = review_now(monkeypatch, capsys)
    assert "Pictures cannot be shown" in told.out
    assert "| 1 | wrong |" in told.out
    assert match in told.err


def test_a_model_without_faults_has_no_worst_pictures(world, monkeypatch, capsys):
    REVIEW.write(REVIEW.read().head(0))
    assert "None is wrong, unsure or suspected to be bad." in review_now(monkeypatch, capsys).out


def test_a_review_of_a_thousand_hostile_classes_still_fits_a_comment(repository, monkeypatch, capsys):
    header = "class_name,included," + ",".join(changes.COUNTED)
    lines = [f"{'@#`' * 80}{n},True,1,1,1,1,1,1" for n in range(1000)]
    (repository / "data/class_counts.csv").write_text("\n".join([header, *lines]))
    text = review_now(monkeypatch, capsys).out
    assert len(text) <= MOST_CHARACTERS + 200
    assert text.startswith("## Gate: no")
    assert text.endswith("Too long for a comment, and left out: classes.\n")


HALF_MERGED = "<<<<<<< HEAD\n{}=======\n{}>>>>>>> theirs\n"


@pytest.mark.parametrize(
    ("path", "damage", "match"),
    [
        (
            "data/class_counts.csv",
            lambda text: text.replace(",3,", ",1.5,"),
            "real should be a whole number, it is '1.5'",
        ),
        ("data/class_counts.csv", lambda text: HALF_MERGED.format(text, text), "row 1 lacks the columns class_name"),
        ("params.yaml", lambda text: HALF_MERGED.format(text, text), r"is not YAML: .*`git diff params\.yaml` shows"),
        ("params.yaml", lambda _: "\x80", r"is not YAML: "),
        ("params.yaml", lambda _: 20_000 * "[", r"is not YAML: "),
    ],
)
def test_what_a_person_or_a_merge_damaged_is_one_message(repository, monkeypatch, capsys, path, damage, match):
    counts = f"class_name,included,{','.join(changes.COUNTED)}\nhen,True,3,0,0,1,1,1\n"
    text = counts if path == "data/class_counts.csv" else (repository / path).read_text()
    (repository / path).write_text(damage(text), encoding="latin-1")
    with pytest.raises(InputError, match=rf"(?s)^{path},? .*{match}"):
        review_now(monkeypatch, capsys)


def test_the_summary_shows_metrics_verdict_and_what_to_do(repository, capsys):
    summary.main()
    text = capsys.readouterr().out
    assert "Gate: no\n  FAILED  hard coverage: 0.1 is below 0.5" in text
    assert text.count("\n") < 30
    assert 'make promote REASON="..."' in text
    assert "git add --all && git commit -m 'Model 1'" in text  # after adoption git knows none of the reports yet
    assert "data/export/001/" in text
    assert "log_loss 0.5000" in " ".join(text.split())


def test_without_scores_the_summary_says_what_writes_them(workspace):
    with pytest.raises(InputError, match="`make repro` writes it"):
        summary.main()


def write_images(**labels: str | None) -> None:
    """Write the table of pictures of `reviewed`, those named with a label as `<sub_class>`, None for a dropped one."""
    images = pd.DataFrame({"image_id": list(labels), "path": [reviewed.example(name) for name in labels]})
    images["sub_class"] = [label or "bee" for label in labels.values()]
    images["dropped"] = [None if label else "removed" for label in labels.values()]
    IMAGES.write(images.assign(set="library").reindex(columns=IMAGES.schema.names))


def by_number(**labels: str | None) -> dict[str, str | None]:
    return {name.removeprefix("n"): label for name, label in labels.items()}


def test_pictures_that_came_went_or_changed_their_label_are_drawn_with_the_workspace_or_dvc_s_cache(
    world, monkeypatch, capsys
):
    run("git", "switch", "--quiet", "main")
    write_images(**by_number(n0="bee", n1="bee", n2="cow", n3="cow"))
    dvc("add", "--quiet", IMAGES.path)
    commit("Four pictures")
    run("git", "switch", "--quiet", "--create", "labels")
    write_images(**by_number(n0="bee", n1="cow", n2=None, n4="elk"))
    text = review_now(monkeypatch, capsys).out
    assert "1 added, 2 removed, 1 relabelled." in text
    assert f"[4 of them on a sheet]({pull_request.CHANGED}), numbered as here." in text
    rows = text[text.index("## Pictures") :].splitlines()
    assert [line.split(" | ")[1:4] for line in rows if line.startswith("| ") and line[2].isdigit()][:4] == [
        ["added", "-", "elk"],
        ["removed", "cow", "-"],
        ["removed", "cow", "-"],
        ["relabelled", "bee", "cow"],
    ]
    with Image.open(pull_request.CHANGED) as sheet:
        first = sheet.getpixel((8 + SIDE // 2, 8 + SIDE // 2))
    assert all(abs(is_ - was) < 8 for is_, was in zip(first, reviewed.COLOURS[4], strict=True))


def test_a_commit_without_tables_leaves_the_pictures_out_and_says_so(repository, monkeypatch, capsys):
    told = review_now(monkeypatch, capsys)
    assert "Pictures cannot be compared or shown: `make pull` brings what is missing." in told.out
    assert "## Gate: no" in told.out


FEW = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["bee", "cow", None]))


@given(before=FEW, after=FEW)
def test_every_picture_whose_use_or_label_differs_is_listed_once(before, after):
    def images(labels):
        rows = [(name, f"library/{name}.png", label, "library", None if label else "removed")
                for name, label in labels.items()]  # fmt: skip
        return pd.DataFrame(rows, columns=["image_id", "path", "sub_class", "set", "dropped"])

    changed = changed_pictures.compare(images(before), images(after))
    expected = {name for name in before | after if before.get(name) != after.get(name)}
    assert sorted(changed["image_id"]) == sorted(expected)
    for row in changed.itertuples():
        was, is_ = before.get(row.image_id), after.get(row.image_id)
        assert row.change == ("added" if was is None else "removed" if is_ is None else "relabelled")


def test_the_sample_of_a_kind_shows_each_class_before_the_second_of_any():
    rows = pd.DataFrame({"image_id": list("abcdef"), "change": pd.Categorical(["added"] * 6, changed_pictures.KINDS)})
    rows = rows.assign(before=None, after=["bee", "bee", "bee", "bee", "cow", "elk"], path="")
    assert changed_pictures._first_of_each(rows, 4)["image_id"].tolist() == ["a", "e", "f", "b"]
