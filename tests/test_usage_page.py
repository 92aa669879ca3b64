"""The pages of `make usage`: names stay text, nothing is loaded, everybody can read them, and they print."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from desks import prepared
from hypothesis import given
from hypothesis import strategies as st
from repositories import write
from visitors import ship, visits

from runtime import parameters
from serving.usage import curves, pages, report
from serving.usage.costs import Costs, read_costs
from serving.usage.period import last_days
from stages.tables import predictions

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script> & \"q\" {{ 7 * 7 }} \u202e"


class Text(HTMLParser):
    """What a page says, and what it would load."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.links, self.tags = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "data", "action")]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words).replace("\N{NO-BREAK SPACE}", " "))


def write_report(folder: Path, costs: Costs | None, num: int = 1500, days: int = 40) -> Path:
    names = [HOSTILE, *(f"a class of a long name, number {number}" for number in range(50))]
    rows = visits(num, NOW - timedelta(days=days), days, np.random.default_rng(0), class_names=names, sure=20.0)
    place = ship(rows, folder / "place")
    (folder / "out/tables").mkdir(parents=True)
    zone = (costs or Costs()).zone
    report.write(report.Settings(str(place), folder / "out", last_days(days, zone, NOW), costs), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("pages"), read_costs(report.costs.EXAMPLE))


@pytest.fixture(scope="module")
def without_costs(tmp_path_factory):
    return write_report(tmp_path_factory.mktemp("pages"), None)


def test_names_stay_text_and_nothing_is_loaded(written):
    for path in written.glob("*.html"):
        page = Text(path.read_text())
        assert "script" not in page.tags, path.name
        for link in page.links:
            assert (path.parent / link).exists(), (path.name, link)
    said = Text((written / "index.html").read_text()).text
    assert "<script>alert('x')</script> & \"q\" {{ 7 * 7 }} U+202E" in said


def test_the_page_compares_the_busiest_minute_with_the_capacity(written, without_costs):
    said = Text((written / "index.html").read_text()).text
    assert re.search(r"a second\. That is [\d.]+ % of the 50\.0 a second that were measured as the capacity", said)
    said = Text((without_costs / "index.html").read_text()).text
    assert "The capacity is not known: measure it" in said
    assert "Written without data/costs.yaml" in said


def test_the_page_says_more_than_the_capacity_and_an_overspent_budget_as_they_are(tmp_path):
    strict = Costs.model_validate({"capacity_per_second": 0.001, "service_level": {"objective": 0.999}})
    said = Text((write_report(tmp_path, strict, 300) / "index.html").read_text()).text
    assert "That is more than the 0.0 a second" in said
    assert "The error budget is overspent" in said


def test_classes_beyond_the_page_are_in_the_table(written):
    said = Text((written / "index.html").read_text()).text
    assert "The 40 most frequent of 51; all are in tables/classes.csv" in said
    assert len((written / "tables/classes.csv").read_text().splitlines()) == 52


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_everybody_can_read_the_pages(written, browser, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    for path in sorted(written.glob("*.html")):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        said = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.goto(path.as_uri())
        found = Axe().run(page)
        assert found.violations_count == 0, (path.name, found.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        assert not said
        page.close()


def pdf_of(browser, path: Path) -> bytes:
    page = browser.new_page()
    page.goto(path.as_uri())
    data = page.pdf(prefer_css_page_size=True)
    page.close()
    return data


def num_pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


LONG = "Pictures taken by night are rare in the library, and an answer about one is often wrong. "


FULL = {
    "monthly": [{"what": "a machine " * 8, "cost": 123_456.0}] * 8,
    "hours": [{"who": "a person " * 8, "hours_per_week": 12.5, "cost_per_hour": 100.0}] * 8,
    "saved": {"minutes_per_answer": 4.0, "cost_per_hour": 50.0},
    "people": {"right": 9, "of": 10, "source": "s" * 200},
    "risk": (LONG * 7)[:600],
    "request": (LONG * 7)[:600],
}


def test_the_pages_for_those_who_pay_print_on_two_sheets(written, browser):
    assert num_pages(pdf_of(browser, written / "costs.html")) == 2


def test_a_first_day_is_no_month(tmp_path, written):
    said = Text((write_report(tmp_path, read_costs(report.costs.EXAMPLE), 300, 1) / "costs.html").read_text()).text
    assert "these are 0.44 days, 1.4 % of a month, and amounts are for these days alone" in said
    assert "Cost of these days" in said
    assert re.search(r"GPU node for training 2 ", said)  # of 120 a month
    assert "a month, as this time was on average" not in said
    assert "a month, as this time was on average" in Text((written / "costs.html").read_text()).text


def test_people_of_the_blind_test_stand_beside_the_model_and_full_pages_print_on_two_sheets(tmp_path, browser):
    with prepared(tmp_path):
        rows = predictions.ROWS.read().dropna(subset=["truth"])
        ids = rows["image_id"].tolist()[:20]
        truth = rows.set_index("image_id")["truth"]
        predictions.ROWS.write(rows.assign(predicted=rows["truth"].mask(rows["image_id"] == ids[0], "none")))
        np.save(predictions.EMBEDDINGS, np.load(predictions.EMBEDDINGS)[: len(rows)])
        version = parameters.read(parameters.Export).version
        named = [truth[image_id] if number < 17 else "none" for number, image_id in enumerate(ids)]
        lines = [
            f"1,{number},{image_id},named,{name},{number},2026-11-02T09:00:{number:02}.000Z,{why}\n"
            for number, (image_id, name) in enumerate(zip(ids, named, strict=True), 1)
            for why in [f"blind; model {version + (number <= 4)}"]
        ]
        write("data/blind/ana.csv", "round,turn,image_id,answer,value,seconds,on,why\n" + "".join(lines))
        out = write_report(tmp_path / "report", Costs.model_validate(FULL), 300)
    said = Text((out / "costs.html").read_text()).text
    assert "the same 20 held-out pictures" in said
    assert "1 of them only people named rightly, 3 only the model" in said
    assert "a chance of 62.5 % (McNemar)" in said  # 2 * (1 + 4) / 2**4
    assert re.search(r"people 85\.0 % \(64\.0 % to 94\.8 %\) .*?10\.5 s", said)  # Wilson's interval of 17 of 20
    assert f"The model is version {version}; answers of these days are of version" in said
    assert "4 of the 20 pictures were named when the predictions were of another version" in said
    whole = next(row for row in pq.read_table(out / "tables/latency.parquet").to_pylist() if row["part"] == "whole")
    took = pages.milliseconds(whole["median_ms"]).replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(rf"naming every picture .*? {took} people", said)
    assert num_pages(pdf_of(browser, out / "costs.html")) == 2


def test_without_costs_the_page_says_what_to_write(without_costs):
    said = Text((without_costs / "costs.html").read_text()).text
    assert "there is no data/costs.yaml" in said
    assert "minutes_per_answer: 4" in said
    assert "nobody has judged any yet" in said


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=100),
    st.floats(0, 1),
)
def test_bars_stand_inside_the_frame_side_by_side_and_higher_is_more(values, part):
    drawn = curves.bars(
        values, [part * value for value in values], [str(value) for value in values], [""] * len(values)
    )
    for bar in drawn.bars:
        assert bar.x >= curves.LEFT
        assert bar.x + bar.width <= curves.WIDTH - curves.RIGHT + 0.1
        assert curves.TOP - 0.1 <= bar.y <= bar.part_y + 0.1 <= curves.BASE + 0.2
        assert bar.y + bar.height == pytest.approx(curves.BASE, abs=0.11)
    assert all(left.x + left.width <= right.x + 0.11 for left, right in pairwise(drawn.bars))
    for one, other in pairwise(range(len(values))):
        assert (values[one] <= values[other]) or drawn.bars[one].y <= drawn.bars[other].y
    assert drawn.ticks[0] == (curves.BASE, 0)
    assert drawn.ticks[-1][1] >= max(values)
    assert len(drawn.ticks) <= 6
    assert 1 <= len(drawn.labels) <= 8
    assert drawn.labels[-1][1] == str(values[-1])


@given(st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=60), st.none() | st.floats(0, 1))
def test_a_line_is_broken_where_nothing_is_known_and_stays_inside(values, rule):
    drawn = curves.line(values, [""] * len(values), [""] * len(values), rule=rule, most=1.0)
    known = [value for value in values if value is not None]
    assert len(drawn.points) == len(known)
    assert all(curves.TOP - 0.1 <= y <= curves.BASE + 0.1 for _, y, _ in drawn.points)
    runs = "".join("." if value is None else "x" for value in values).split(".")
    assert [piece.count(",") for piece in drawn.pieces] == [len(run) for run in runs if len(run) > 1]
    assert all(tick <= 1.0 + 1e-9 for _, tick in drawn.ticks)
    assert (drawn.rule is None) == (rule is None)


def test_an_absent_figure_is_a_dash_and_a_negative_one_has_a_minus():
    assert pages.number(None) == pages.percent(float("nan")) == pages.milliseconds(None) == "\N{EN DASH}"
    assert pages.number(-1234.5, 1) == "\N{MINUS SIGN}1,234.5"
    assert pages.percent(-0.021) == "\N{MINUS SIGN}2.1\N{NO-BREAK SPACE}%"
    assert pages.milliseconds(12_345) == "12.3\N{NO-BREAK SPACE}s"
