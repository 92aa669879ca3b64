"""The rules of what a good picture is, with examples: text that people and the desk write, and Git merges."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from repositories import commit, run, surroundings

from curation.rules import blocks
from curation.standards import PATH, Example, Standards, parse, standing, waiting, with_line, written
from runtime.errors import InputError, InstructionError

RULES = (ROOT / PATH).read_text()
IDS = [f"{number:032x}" for number in range(6)]
NOW = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)
NAMES = st.text(alphabet=st.sampled_from("ab-_*`~[]()<>!|\\&#;@:/$% \t\u202e\u200bé.1"), min_size=1, max_size=30)


@pytest.fixture
def standards(tmp_path):
    (tmp_path / "standards.md").write_text(RULES)
    return Standards(tmp_path / "standards.md", tmp_path / "locks")


def counts(text: str) -> dict[str, str]:
    return {image_id: each.kind for image_id, each in standing(parse(text)).items()}


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.text = set(), [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        self.tags |= {name for name, _ in attrs if name.startswith("on")}

    def handle_data(self, data):
        self.text += data


def read(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    return tags


@given(person=NAMES, label=NAMES)
@example(person="a-->b", label="--> <script>")
def test_a_line_says_who_showed_which_picture_and_names_stay_text(person, label):
    shown = Example(0, "good", IDS[0], person, NOW, "0123456789ab")
    line = written(shown, label)
    assert parse(line) == [shown]
    page = read(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(line))
    assert page.tags <= {"ul", "li", "code"}
    assert page.text.startswith(f"\ngood: {IDS[0]}, ")
    assert "act:" not in page.text


def test_an_example_stands_under_its_heading_and_every_other_character_stays():
    text = RULES
    for number, (kind, image_id) in enumerate((("good", IDS[0]), ("bad", IDS[1]), ("good", IDS[2]), ("bad", IDS[3]))):
        shown = Example(0, kind, image_id, "ana", NOW, f"{number:012x}")
        text = with_line(text, written(shown, "boots"), shown)
    begin, good, bad = text.replace("## Bad", "## Good").split("## Good examples\n")[0:3]
    assert begin == RULES.split("## Good")[0]
    assert [each.image_id for each in parse(good)] == [IDS[0], IDS[2]]
    assert [each.image_id for each in parse(bad)] == [IDS[1], IDS[3]]
    assert good.endswith("-->\n\n") and bad.startswith("\n- bad: `") and bad.endswith("-->\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Our rules.",
        "# Rules\n\n## good EXAMPLES ##\n- one\n\n# More\nx\n",
        "# A\r\n\r\nb\r\n\r\n## Bad examples\r\n",
    ],
)
def test_any_text_of_a_team_takes_examples(tmp_path, text):
    path = tmp_path / "standards.md"
    path.write_bytes(text.encode())
    file = Standards(path, tmp_path)
    file.show("ana", "good", IDS[0], None, "000000000000")
    file.show("ana", "bad", IDS[1], None, "000000000001")
    now = path.read_bytes().decode()
    assert counts(now) == {IDS[0]: "good", IDS[1]: "bad"}
    assert [line for line in text.split("\n") if line.strip()] == [
        line
        for line in now.split("\n")
        if line.strip() and line.rstrip() in [each.rstrip() for each in text.split("\n")]
    ]
    assert now.count("\r\n") == (now.count("\n") if "\r\n" in text else 0)
    file.take_back("ana", "000000000001")
    file.take_back("ana", "000000000000")
    assert parse(path.read_text()) == []


def test_the_latest_word_about_a_picture_counts_and_taking_it_back_brings_the_one_before(standards):
    for number, kind in enumerate(("good", "bad", "no longer", "good")):
        standards.show(("ana", "ben")[number % 2], kind, IDS[0], "boots", f"{number:012x}")
    stood = []
    for number in (3, 2, 1, 0):
        stood.append(standing(standards.examples()).get(IDS[0]))
        assert standards.take_back(("ana", "ben")[number % 2], f"{number:012x}")
    assert [each and each.kind for each in stood] == ["good", None, "bad", "good"]
    assert [line for line in standards.text().split("\n") if line] == [line for line in RULES.split("\n") if line]


def test_an_action_whose_answer_was_lost_is_written_and_taken_back_once(standards):
    for _ in range(2):
        standards.show("ana", "good", IDS[0], None, "0123456789ab")
    assert len(standards.examples()) == 1
    assert standards.take_back("ben", "0123456789ab") is None
    assert standards.take_back("ana", "0123456789ab")
    assert standards.take_back("ana", "0123456789ab") is None


def test_what_says_nothing_new_is_refused_in_words(standards):
    standards.show("ana", "good", IDS[0], None, "000000000000")
    with pytest.raises(InputError, match="this picture is a good example already"):
        standards.show("ben", "good", IDS[0], None, "000000000001")
    with pytest.raises(InputError, match="this picture is no example"):
        standards.show("ben", "no longer", IDS[1], None, "000000000002")
    standards.path.write_bytes(b"\xff")
    with pytest.raises(InstructionError, match="is not UTF-8"):
        standards.examples()


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59.999Z", "2026-13-01T00:00:00.000Z", "yesterday"])
def test_a_line_that_a_person_typed_counts_whatever_its_comment_says(standards, time):
    typed = f"* bad: {IDS[0].upper()} the horizon is level <!-- ana {time} act:00000000000a -->\n"
    standards.path.write_text(f"{RULES}{typed}- good: `{IDS[1]}`\n- good: {IDS[1]}0\n- fine: `{IDS[2]}`\n")
    assert counts(standards.text()) == {IDS[0]: "bad", IDS[1]: "good"}
    assert standards.show("ana", "good", IDS[3], None, "00000000000b").on < datetime(2100, 1, 1, tzinfo=UTC)


def test_two_branches_that_show_examples_merge_without_a_conflict(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        run("git", "init", "--quiet", "--initial-branch=main")
        Path(".gitattributes").write_text((ROOT / ".gitattributes").read_text())
        Path("data").mkdir()
        Path(PATH).write_text(RULES)
        file = Standards(locks=".git")
        commit("Rules")
        for number, person in enumerate(("ana", "ben")):
            run("git", "checkout", "--quiet", "-b", person, "main")
            for kind in ("good", "bad"):
                file.show(person, kind, IDS[number * 2 + (kind == "bad")], "boots", f"{number}{kind == 'bad':011x}")
            if person == "ben":
                Path(PATH).write_text(file.text().replace("**Sharp and lit**", "**Sharp, and lit**"))
            commit(person)
        run("git", "merge", "--quiet", "--no-edit", "ana")
        assert counts(file.text()) == {IDS[0]: "good", IDS[1]: "bad", IDS[2]: "good", IDS[3]: "bad"}
        assert "**Sharp, and lit**" in file.text()
        assert file.waiting("ben") == (0, [], True)
        assert file.take_back("ben", "000000000000") is None
        file.take_back("ben", "100000000000")
        assert file.waiting("ben") == (1, [], True)


def test_what_waits_for_a_commit_are_examples_and_whose_they_are(standards):
    before = standards.text()
    standards.show("ana", "good", IDS[0], None, "000000000000")
    assert waiting(before, standards.text(), "ana") == (1, [], True)
    assert waiting(before, standards.text(), "ben") == (0, ["ana"], True)
    standards.show("ben", "bad", IDS[1], None, "000000000001")
    assert waiting(before, standards.text(), "ana") == (1, ["ben"], True)
    assert waiting(standards.text(), before, "ana") == (1, ["ben"], True)
    assert waiting("", "# What a good picture is\n\n## Good examples\n", "ana") == (0, [], True)
    assert waiting(before, before + "\nA rule more.\n", "ana") == (0, [], False)
    assert waiting(before, f"{before}\n- good: `{IDS[0]}`\n", "ana") == (0, [], False)


def test_what_people_wrote_is_shown_as_markdown_and_nothing_in_it_runs_or_is_loaded():
    hostile = (
        "# Rules\n<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1)) "
        "![b](https://example.org/b.png) <https://example.org/c> \u202egnp\n\n<!-- a\nnote -->\n\n- *x*\n  - **y**\n\n"
        "| a | b |\n| --- | --- |\n| 1 | <b>2</b> |\n"
    )
    listed = f"- one\n- good: `{IDS[0]}`\n- two\n- bad: `{IDS[1]}`\n- no longer: `{IDS[1]}`\n"
    text = f"{hostile}\n{listed}\n```\n- good: `{IDS[2]}`\n```\n"
    examples = parse(text)
    shown = [each.line for each in standing(examples).values() if each.image_id == IDS[0]]
    found = blocks(text, shown, [each.line for each in examples if each.line not in shown])
    page = read("".join(each.html for each in found))
    assert page.tags == {
        "h2",
        "p",
        "a",
        "ul",
        "li",
        "em",
        "strong",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "pre",
        "code",
    }
    assert page.addresses == ["https://example.org/b.png", "https://example.org/c"]  # as links, to be followed by hand
    assert "<script>alert(1)</script>" in page.text and "U+202Egnp" in page.text and "note" not in page.text
    assert [each.lines for each in found if each.lines] == [shown]
    assert IDS[1] not in page.text and IDS[2] in page.text
    assert page.text.index("one") < page.text.index("two")
