"""What comes from names, people and reasons stays text, as a renderer of Markdown sees it."""

from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from review.markdown import Markup, shortened, table, text, visible

NO_WIDTH = "\u200b"


class Cells(HTMLParser):
    """Collects the text of each cell, and every tag that no table needs."""

    def __init__(self):
        super().__init__()
        self.cells, self.strange = [], []

    def handle_starttag(self, tag, attrs):
        if tag in ("td", "th"):
            self.cells.append("")
        elif tag not in ("table", "thead", "tbody", "tr"):
            self.strange.append(tag)

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def rendered(markdown: str) -> Cells:
    page = Cells()
    page.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))
    return page


def words(value: str) -> str:
    return " ".join(value.replace(NO_WIDTH, "").split())


@given(st.text(alphabet=st.sampled_from("ab_*`~[]()<>!|\\&#;@:/$\n\r\t \u202e\u200bé-+.1"), max_size=40))
@example("<script>alert(1)</script>")
@example("![x](https://example.org/track.png)")
@example("&lt;b&gt; &#95; a_b_c __init__ _x_")
def test_whatever_a_cell_holds_is_shown_and_is_nothing_but_text(value):
    page = rendered(table(("name", "after"), [(value, "end")]))
    assert not page.strange
    assert [words(cell) for cell in page.cells] == ["name", "after", words(shortened(visible(value))), "end"]


def test_a_forge_finds_nobody_to_call_and_no_issue_to_link():
    page = rendered(table(("why",), [("ask @ana about #12",)]))
    assert page.cells[1].strip() == f"ask @{NO_WIDTH}ana about #{NO_WIDTH}12"


def test_common_names_are_written_as_they_are():
    assert text("seven_crossed: 0.5 (a-b), x/y.jpg") == "seven_crossed: 0.5 (a-b), x/y.jpg"


def test_letters_that_turn_the_line_around_are_shown_by_their_number():
    assert text("a\u202eb\nc") == "aU+202EbU+000Ac"


def test_a_long_text_is_cut_and_markup_is_left_alone():
    assert text("x" * 300) == "x" * 159 + "…"
    assert table(("a",), [(Markup("**no**"),)]).endswith("| **no** |")
