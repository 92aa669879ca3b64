"""The gateway, over HTTP: what it answers, what it refuses, and what its log says of each."""

import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from exports import SIDE, write_export
from gateways import Gateway
from pictures import draw, exif_of, saved
from PIL import Image, ImageFilter

from runtime.errors import InputError
from serving.advice import PATH, read_advice
from serving.onnx_model import OnnxModel
from serving.projection import project
from serving.start import read_arguments
from stages.images.letterbox import letterbox
from stages.tables.exported import EXPORT
from stages.tables.fingerprints import FINGERPRINTS

pytestmark = pytest.mark.slow


def plain(colour: tuple[int, int, int]) -> Image.Image:
    """A picture without a fault in which a colour prevails."""
    picture = draw(3, (200, 150))
    noise = Image.effect_noise((200, 150), 90).convert("RGB")
    return Image.blend(Image.blend(picture, Image.new("RGB", picture.size, colour), 0.6), noise, 0.35)


RED = saved(plain((255, 0, 0)), "JPEG", quality=90)
UNSURE = saved(plain((128, 128, 128)), "JPEG", quality=90)
DARK = saved(plain((128, 128, 128)).point(lambda value: value // 8), "JPEG")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    write_export(folder / EXPORT)
    with Gateway(folder, "--within", "0") as running:
        yield running


def test_an_answer_is_the_model_s_and_in_the_log_with_its_picture_before_it_is_given(gateway):
    status, answer = gateway.identify(RED, X_Client_Build="app 1.2")
    row = next(row for row in gateway.rows() if row["transaction_id"] == answer["transaction"])
    expected = OnnxModel(gateway.folder / EXPORT / "007", 10**8).answer(RED)
    assert status == 200
    assert answer["answer"] == {"class": "red", "confidence": pytest.approx(expected["confidences"][0])}
    assert (answer["version"], answer["threshold"], answer["advice"]) == (7, 60.0, [])
    assert (row["status"], row["http_status"], row["version"], row["shown"]) == ("answered", 200, 7, 1)
    assert [row[f"class_{rank}"] for rank in (1, 2, 3)] == expected["classes"]
    assert (row["bytes"], row["width"], row["height"], row["format"]) == (len(RED), 200, 150, "JPEG")
    assert row["client"] == "app 1.2"
    assert len(row["scores"]) == 2 * 3
    assert row["scope_distance"] == pytest.approx(expected["scope_distance"], rel=1e-6)
    means = letterbox(Image.open(BytesIO(RED)), SIDE).mean(axis=(0, 1), dtype=np.float32)
    np.testing.assert_allclose(np.frombuffer(row["embedding"], "<f2"), project(means[None])[0], rtol=2e-3)
    assert gateway.picture(row["image_id"]).is_file()
    assert min(row[f"{part}_ms"] for part in ("read", "prepare", "store", "model")) > 0


def test_below_the_threshold_the_answer_is_advice_on_the_picture_s_own_faults(gateway):
    texts = read_advice(ROOT / PATH)
    _, unsure = gateway.identify(UNSURE)
    assert (unsure["answer"], unsure["advice"]) == (None, [texts.general])
    _, dark = gateway.identify(DARK)
    assert dark["answer"] is None
    assert texts.faults["dark"] in dark["advice"]
    assert next(row for row in gateway.rows() if row["transaction_id"] == dark["transaction"])["shown"] == 0


def test_a_form_with_a_file_is_answered_as_its_bytes_are(gateway):
    head = b'--abc\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--abc\r\n'
    head += b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = head + RED + b"\r\n--abc--\r\n"
    status, answer = gateway.identify(body, Content_Type="multipart/form-data; boundary=abc")
    assert status == 200
    assert answer["answer"] == gateway.identify(RED)[1]["answer"]


def test_where_and_by_whom_a_photo_was_taken_is_never_kept(gateway):
    exif = exif_of(6)
    exif.get_ifd(0x8825)[29] = "2026:11:27 at home"
    data = saved(draw(4, (60, 40)), "JPEG", exif=exif)
    _, answer = gateway.identify(data, X_Client_User="ann@example.org")
    row = next(row for row in gateway.rows() if row["transaction_id"] == answer["transaction"])
    kept = gateway.picture(row["image_id"]).read_bytes()
    assert (row["width"], row["height"]) == (40, 60)
    with Image.open(BytesIO(kept)) as image:
        assert dict(image.getexif()) == {0x0112: 6}
    files = [path for path in gateway.log.rglob("*") if path.is_file()]
    assert not [path for path in files if b"at home" in path.read_bytes() or b"ann@" in path.read_bytes()]


def test_an_adopted_library_s_blur_is_found_by_its_own_limit_and_where_nobody_knows_it_that_is_said(tmp_path):
    folder = tmp_path / "gateway"
    write_export(folder / EXPORT)
    blurred = saved(plain((255, 0, 0)).filter(ImageFilter.GaussianBlur(3)), "JPEG", quality=90)

    def sent(*options: str) -> tuple[bool, str]:
        """Whether its blur is found where params.yaml leaves the limit empty, and what the gateway says."""
        gateway = Gateway(folder, *options)
        params = (ROOT / "params.yaml").read_text()
        (folder / "params.yaml").write_text(re.sub("min_sharpness: [0-9.]+", "min_sharpness:", params))
        (folder / "errors").unlink(missing_ok=True)
        with gateway:
            gateway.identify(blurred)
        return "blurred" in gateway.rows()[-1]["faults"], (folder / "errors").read_text()

    found, said = sent()  # with what deploy/gateway.Dockerfile copies
    assert (found, "no picture will be called blurred" in said) == (False, True)
    fingerprints = folder / FINGERPRINTS.path
    rows = [{"path": f"library/red/{number}.jpg", "sharpness": 0.5 + number / 100} for number in range(9)]
    pq.write_table(pa.Table.from_pylist(rows, FINGERPRINTS.schema), fingerprints)
    found, said = sent()
    (option,) = re.findall(r"--min-sharpness=0\.\d+", said)
    assert found
    fingerprints.unlink()
    found, said = sent(option)
    assert (found, "blurred" in said) == (True, False)


BOMB = saved(Image.new("1", (10_000, 5_001)), "PNG")
REFUSED = {
    "nothing": (b"", 400, "holds no picture"),
    "no picture": (b"hello", 415, "JPEG, PNG, WebP"),
    "a film": (b"\0\0\0\x18ftypisom" + bytes(50), 415, "JPEG, PNG, WebP"),
    "too many bytes": (RED + bytes(20 * 10**6), 413, "more than 20 MB"),
    "too many pixels": (BOMB, 413, "too many pixels"),
    "cut short": (RED[: len(RED) // 2], 422, "cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_answered_is_refused_in_words_and_logged_without_a_picture(gateway, name):
    data, expected, words = REFUSED[name]
    before = len(gateway.rows())
    status, answer = gateway.identify(data)
    assert (status, words in answer["error"]) == (expected, True), answer
    if answer["transaction"]:
        row = gateway.rows()[-1]
        assert (row["transaction_id"], row["status"]) == (answer["transaction"], "refused")
        assert (row["http_status"], row["image_id"]) == (expected, None)
    else:
        assert len(gateway.rows()) == before  # refused before anything was read


def test_a_form_without_a_file_is_refused(gateway):
    empty = b'--abc\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--abc--\r\n'
    assert gateway.identify(empty, Content_Type="multipart/form-data; boundary=abc")[0] == 400
    assert gateway.identify(RED, Content_Type="multipart/form-data")[0] == 400


def test_feedback_stands_in_the_row_and_about_no_transaction_is_refused(gateway):
    _, answer = gateway.identify(RED)

    def say(**content):
        status, body, _ = gateway.ask(
            "POST", "/v1/feedback", json.dumps(content).encode(), Content_Type="application/json"
        )
        return status, json.loads(body)

    said = {"transaction": answer["transaction"], "feedback": "wrong", "comment": "a fox"}
    assert say(**said) == (200, {"transaction": answer["transaction"]})
    row = next(row for row in gateway.rows() if row["transaction_id"] == answer["transaction"])
    assert (row["feedback"], row["comment"]) == ("wrong", "a fox")
    assert say(**said | {"transaction": "01a21c44-f07f-7e89-87a7-fd10adc1e8a9"})[0] == 404
    status, problem = say(**said | {"feedback": "maybe"})
    assert (status, problem["error"][:9]) == (422, "feedback:")


def test_where_the_model_saw_its_class_is_drawn_over_the_picture(gateway):
    _, answer = gateway.identify(RED)
    status, body, headers = gateway.get(f"/v1/explain/{answer['transaction']}")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    with Image.open(BytesIO(body)) as drawn:
        assert drawn.size == (200, 150)
    assert gateway.get("/v1/explain/01a21c44-f07f-7e89-87a7-fd10adc1e8a9")[0] == 404
    assert gateway.get("/v1/explain/x")[0] == 422


def test_health_metrics_and_description_are_served_and_nothing_may_run_in_a_page(gateway):
    assert json.loads(gateway.get("/healthz")[1]) == json.loads(gateway.get("/readyz")[1]) == {"ok": True}
    gateway.identify(RED)
    text = gateway.get("/metrics")[1].decode()
    assert 'gateway_answers_total{status="200"}' in text
    assert 'gateway_part_seconds_count{part="model"}' in text
    assert f"gateway_unshipped_rows {len(gateway.rows())}.0" in text
    assert float(re.search(r"^gateway_unshipped_seconds (.*)$", text, re.MULTILINE)[1]) > 0
    described = json.loads(gateway.get("/openapi.json")[1])
    assert {"/v1/identify", "/v1/feedback", "/healthz", "/readyz", "/metrics"} <= described["paths"].keys()
    for path in ("/", "/page.js", "/healthz"):
        assert "default-src 'none'; script-src 'self'" in gateway.get(path)[2]["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/v1/identify", "/"])
def test_what_is_refused_is_counted_once_the_form_of_the_page_too(gateway, path):
    def counted():
        found = re.search(r'^gateway_answers_total{status="400"} (.*)$', gateway.get("/metrics")[1].decode(), re.M)
        return float(found[1]) if found else 0

    before = counted()
    status = gateway.ask("POST", path, RED, Content_Type="multipart/form-data")[0]
    assert (status, counted()) == (400, before + 1)


def test_a_model_that_dies_costs_answers_in_words_until_it_is_there_again(gateway):
    for pid in gateway.children():
        os.kill(pid, signal.SIGKILL)
    statuses, end = [], time.monotonic() + 60
    while time.monotonic() < end and statuses[-3:] != [200] * 3:
        statuses.append(gateway.identify(RED)[0])
    assert statuses[-3:] == [200] * 3
    assert set(statuses) <= {200, 503}
    assert not {row["status"] for row in gateway.rows()} & {"under_way", "aborted"}


def test_many_at_once_all_have_their_row_and_picture(gateway):
    files = [saved(draw(seed, (80, 60)), "JPEG") for seed in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(gateway.identify, files))
    rows = {row["transaction_id"]: row for row in gateway.rows()}
    assert {status for status, _ in answers} == {200}
    named = {rows[answer["transaction"]]["image_id"] for _, answer in answers}
    assert len(named) == len(files)
    assert all(gateway.picture(image_id).is_file() for image_id in named)


def test_two_gateways_never_share_a_log(gateway, tmp_path):
    other = Gateway(gateway.folder)
    with pytest.raises(RuntimeError, match="is the log of a gateway that runs"):
        other.start()


def test_a_second_model_answers_its_share_and_a_shadow_answers_nobody(tmp_path):
    old, new = (write_export(tmp_path / EXPORT, version, 10.0) for version in (7, 8))
    with Gateway(tmp_path, "--model", old, "--second", new, "--share", "0.5") as gateway:
        answers = [gateway.identify(RED)[1] for _ in range(24)]
        versions = {row["transaction_id"]: row["version"] for row in gateway.rows()}
    assert {answer["version"] for answer in answers} == {7, 8}
    assert all(versions[answer["transaction"]] == answer["version"] for answer in answers)
    with Gateway(tmp_path, "--model", old, "--second", new) as gateway:
        answers = [gateway.identify(RED)[1] for _ in range(4)]
        gateway.stop()
        rows = gateway.rows()[-4:]
        gateway.start()
    assert {answer["version"] for answer in answers} == {7}
    assert {(row["version"], row["shadow_version"], row["shadow_class"]) for row in rows} == {(7, 8, "red")}


@pytest.mark.parametrize("build", ['=HYPERLINK("http://example.org")', "@sum", "-1", "+1", "a" * 65, "<b>"])
def test_a_build_that_a_table_would_take_for_a_formula_is_not_kept(gateway, build):
    _, answer = gateway.identify(RED, X_Client_Build=build)
    row = next(row for row in gateway.rows() if row["transaction_id"] == answer["transaction"])
    assert not row["client"]


def test_only_keys_of_the_file_may_ask_and_none_too_often(tmp_path):
    write_export(tmp_path / EXPORT)
    key = "0123456789abcdef"
    (tmp_path / "keys").write_text(f"# the app\n{key}\n")
    with Gateway(tmp_path, "--rate", "2") as gateway:
        assert [gateway.identify(RED, X_API_Key=made_up)[0] for made_up in "abc"] == [200, 200, 429]
    with Gateway(tmp_path, "--keys", tmp_path / "keys", "--rate", "3") as gateway:
        assert gateway.identify(RED)[0] == gateway.identify(RED, X_API_Key="guess")[0] == 401
        statuses = [gateway.identify(RED, Authorization=f"Bearer {key}")[0] for _ in range(4)]
        status, _, headers = gateway.ask("POST", "/v1/identify", RED, X_API_Key=key)
    assert statuses == [200, 200, 200, 429]
    assert (status, int(headers["Retry-After"]) > 0) == (429, True)


def test_behind_a_proxy_each_user_has_an_address_and_nobody_else_chooses_one(tmp_path):
    write_export(tmp_path / EXPORT)
    sent = ["203.0.113.5", "203.0.113.6:4711", "198.51.100.1, 203.0.113.5"]  # who sent the last made up the first
    for proxies, expected in ({}, [200, 429, 429]), ({"FORWARDED_ALLOW_IPS": "127.0.0.1"}, [200, 200, 429]):
        gateway = Gateway(tmp_path, "--rate", "1")
        gateway.environment |= proxies
        with gateway:
            assert [gateway.identify(RED, X_Forwarded_For=addresses)[0] for addresses in sent] == expected
    assert len({row["user_hash"] for row in gateway.rows()}) == 3  # one without the proxy, two with it


@pytest.mark.parametrize("proxies", ["*", "10.244.0.5/16", "10.0.0.5, ingress"])
def test_a_proxy_that_would_never_be_met_or_whom_everybody_is_is_refused(proxies):
    with pytest.raises(InputError, match="no address of a proxy"):
        read_arguments(["--forwarded-allow-ips", proxies])


def test_without_an_address_the_gateway_is_there_for_this_machine_alone():
    assert read_arguments(["--host", ""]).host == read_arguments([]).host == "127.0.0.1"
    assert read_arguments(["--host", "192.168.1.5"]).host == "192.168.1.5"
