"""Pages lead where they say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))]


def anchors(page):
    """What a forge calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_of_ours_leads_to_it_and_to_a_heading_that_is_there(page):
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", (ROOT / page).read_text()):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("folder", ["docs/guide", "docs/measurements"])
def test_every_page_is_listed(folder):
    index = (ROOT / folder / "README.md").read_text()
    pages = {path.name for path in (ROOT / folder).glob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([\w-]+\.md)\)", index))


def test_every_command_that_a_page_names_is_one_of_make():
    commands = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = (ROOT / page).read_text()
        assert set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", text, re.MULTILINE)) <= commands, page


def test_the_first_pages_are_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 50


@pytest.mark.parametrize("name", ["report.png", "usage.png"])
def test_the_pictures_of_the_first_page_load_quickly(name):
    assert (ROOT / "docs" / name).stat().st_size < 300_000
