"""The page of the gateway in a browser: a photo is chosen, and what a user is told is seen; without a script too."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from exports import write_export
from gateways import Gateway
from test_gateway import DARK, RED

from serving.advice import read_advice
from stages.tables.exported import EXPORT

pytestmark = pytest.mark.slow
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write_export(folder / EXPORT)
    with Gateway(folder) as running:
        text = (folder / "data/advice.yaml").read_text()
        (folder / "data/advice.yaml").write_text(
            text.replace("classes: {}", "classes: {red: {note: A warm colour., special: smile}}")
        )
        running.stop()
        running.start()
        yield running


def photo(data: bytes) -> dict[str, object]:
    return {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": data}


def opened(browser, url, **options):
    """A page of a phone, and what it complains of."""
    page, problems = browser.new_context(**PHONE, **options).new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    return page, problems


def test_a_photo_is_answered_as_soon_as_it_is_taken_and_feedback_stands_in_the_log(gateway, browser, tmp_path):
    page, problems = opened(browser, gateway.url)
    assert Axe().run(page).violations_count == 0
    page.set_input_files("#image", photo(RED))
    page.wait_for_selector("#result .answer")
    assert page.inner_text("#result").split("\n\n")[0] == "red \U0001f642"
    assert "A warm colour." in page.inner_text("#result")
    assert page.evaluate("document.getElementById('preview').naturalWidth") == 200
    assert Axe().run(page).violations_count == 0
    page.screenshot(path=tmp_path / "answered.png", full_page=True)
    page.click("button[value=wrong]")
    page.wait_for_selector("text=Thank you.")
    row = gateway.rows()[-1]
    assert (row["feedback"], row["client"], row["shown"]) == ("wrong", "page", 1)
    assert problems == []


def test_a_phone_takes_the_photo_with_the_camera_at_its_back_and_offers_pictures_alone(gateway, browser):
    page, _ = opened(browser, gateway.url)
    image = page.get_by_label("Take a photo. On a computer, choose one.")
    assert image.evaluate("input => [input.type, input.accept, input.getAttribute('capture')]") == [
        "file",
        "image/*",
        "environment",
    ]


def test_below_the_threshold_the_user_is_told_what_would_make_a_better_photo(gateway, browser):
    page, problems = opened(browser, gateway.url)
    page.set_input_files("#image", photo(DARK))
    page.wait_for_selector("#result .answer")
    assert page.inner_text("#result .answer") == "Sorry, please try again"
    assert read_advice(gateway.folder / "data/advice.yaml").faults["dark"] in page.inner_text("#result")
    assert page.is_hidden("#feedback")
    page.set_input_files("#image", photo(b"no photo"))
    page.wait_for_selector("#result .problem")
    assert "no picture in a format" in page.inner_text("#result")
    assert len(problems) == 1  # the browser says that the server answered 415
    assert Axe().run(page).violations_count == 0


def test_without_a_script_the_form_does_the_asking(gateway, browser):
    page, _ = opened(browser, gateway.url, java_script_enabled=False)
    page.set_input_files("#image", photo(RED))
    page.click("text=Ask")
    assert page.inner_text("#result .answer") == "red \U0001f642"
    assert "A warm colour." in page.inner_text("#result")
    page.set_input_files("#image", photo(DARK))
    page.click("text=Ask")
    assert read_advice(gateway.folder / "data/advice.yaml").faults["dark"] in page.inner_text("#result")
    page.set_input_files("#image", photo(b"no photo"))
    page.click("text=Ask")
    assert "no picture in a format" in page.inner_text("#result .problem")
