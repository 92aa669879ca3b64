"""The gateway does what its description says, whatever it is sent: only what is documented, and never a bug of ours."""

import http.client
import json
import urllib.parse
from typing import Any, NamedTuple

import jsonschema
import pytest
from exports import write_export
from gateways import Gateway
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import draw, saved
from test_gateway import DARK, RED, REFUSED

from serving.transaction_id import new_id
from stages.tables.exported import EXPORT

pytestmark = pytest.mark.slow
IDENTIFY, FEEDBACK, EXPLAIN = "/v1/identify", "/v1/feedback", "/v1/explain/{transaction}"
KEY = "0123456789abcdef"
OF_PICTURES = [RED, DARK, *(saved(draw(1, (9, 7)), kind) for kind in ("PNG", "WEBP", "GIF", "BMP", "TIFF"))]


class Asked(NamedTuple):
    """A request, and what was answered."""

    method: str
    path: str
    headers: dict[str, str]
    status: int
    answered: http.client.HTTPMessage
    body: bytes


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("described")
    write_export(folder / EXPORT)
    with Gateway(folder) as running:
        yield running


@pytest.fixture(scope="module")
def described(gateway) -> dict[str, Any]:
    return json.loads(gateway.get("/openapi.json")[1])


@pytest.fixture(scope="module")
def answered(gateway) -> str:
    return gateway.identify(RED)[1]["transaction"]


def ask(gateway, method: str, path: str, body: bytes, headers: dict[str, str]) -> Asked:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    try:
        connection.request(method, urllib.parse.quote(path, safe="/%"), body, headers)
        response = connection.getresponse()
        return Asked(method, path, headers, response.status, response.headers, response.read())
    finally:
        connection.close()


def check(described: dict[str, Any], template: str, asked: Asked) -> None:
    """Hold an answer to what is said of its operation."""
    operation = described["paths"][template][asked.method.lower()]
    assert str(asked.status) in operation["responses"], asked
    said = operation["responses"][str(asked.status)]
    kind = asked.answered.get_content_type()
    assert list(said["content"]) == [kind], asked
    if kind == "application/json":
        schema = said["content"][kind]["schema"] | {"components": described["components"]}
        jsonschema.validate(json.loads(asked.body), schema)
    for name in said.get("headers", {}):
        assert asked.answered[name], asked


# What a header may hold without ending the request: HTTP's visible characters, spaces between them, and Latin-1.
header_texts = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"]), max_size=200).map(
    str.strip
)
kinds = st.sampled_from(["image/jpeg", "application/json", "text/plain", "multipart/form-data", "", "x; y=1"])


@st.composite
def spoilt(draw_from) -> bytes:
    """A picture with something of it changed, cut off or put in."""
    data = bytearray(draw_from(st.sampled_from(OF_PICTURES)))
    for _ in range(draw_from(st.integers(0, 4))):
        place = draw_from(st.integers(0, len(data)))
        data[place : place + draw_from(st.sampled_from([0, 1, 50, 10**6]))] = draw_from(st.binary(max_size=8))
    return bytes(data)


@st.composite
def forms(draw_from) -> tuple[bytes, str]:
    """A form, and its Content-Type; both may be a little wrong."""
    boundary = draw_from(st.sampled_from(["abc", "a b", "é", "x" * 71]))
    content = draw_from(st.one_of(spoilt(), st.binary(max_size=50)))
    name = draw_from(st.sampled_from(["filename=a", 'filename="é.jpg"', "filename*=UTF-8''a", ""]))
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; {name}\r\n\r\n'.encode()
    end = draw_from(st.sampled_from([f"\r\n--{boundary}--\r\n".encode(), b"", b"\r\n--"]))
    return head + content + end, f"multipart/form-data; boundary={boundary}"


sent = st.one_of(
    st.tuples(spoilt(), kinds),
    st.tuples(st.sampled_from([data for data, *_ in REFUSED.values()]), kinds),
    st.tuples(st.binary(max_size=300), kinds),
    forms(),
)


@settings(max_examples=60, deadline=None)
@given(sent, header_texts, header_texts)
def test_whatever_is_sent_as_a_picture_is_answered_or_refused_as_described(gateway, described, body, build, user):
    data, kind = body
    headers = {"X-Client-Build": build, "X-Client-User": user} | ({"Content-Type": kind} if kind else {})
    headers = {name: value.encode("latin-1").decode("latin-1") for name, value in headers.items()}
    check(described, IDENTIFY, ask(gateway, "POST", IDENTIFY, data, headers))


texts = st.text(max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def feedback(draw_from) -> dict[str, Any]:
    """Feedback of the right form, of which something may be missing, wrong or too much."""
    said = {
        "transaction": new_id(),
        "feedback": draw_from(st.sampled_from(["right", "wrong"])),
        "comment": draw_from(st.none() | st.text(max_size=501)),
    }
    changed = draw_from(st.dictionaries(st.sampled_from([*said, "more"]), values, max_size=1))
    left_out = draw_from(st.sampled_from([None, *said]))
    return {name: value for name, value in (said | changed).items() if name != left_out}


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(feedback(), values).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60),
    st.sampled_from(["application/json", "application/json; charset=utf-8", "text/plain", ""]),
    st.booleans(),
)
def test_whatever_is_said_of_an_answer_is_noted_or_refused_as_described(
    gateway, described, answered, body, kind, is_known
):
    if is_known and body.startswith(b'{"transaction": "0'):
        body = body[:17] + answered.encode() + body[53:]
    asked = ask(gateway, "POST", FEEDBACK, body, {"Content-Type": kind} if kind else {})
    check(described, FEEDBACK, asked)
    assert asked.status != 200 or is_known


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(min_size=1, max_size=60), st.builds(new_id), st.just("the one that was answered")))
@example("0/")
def test_whatever_is_to_be_explained_is_drawn_or_refused_as_described(gateway, described, answered, transaction):
    name = answered if transaction == "the one that was answered" else transaction
    path = EXPLAIN.format(transaction=urllib.parse.quote(name, safe=""))
    asked = ask(gateway, "GET", path, b"", {})
    check(described, EXPLAIN, asked)
    assert (asked.status == 200) == (name == answered)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_what_machines_ask_is_answered_as_described(gateway, described, path):
    check(described, path, ask(gateway, "GET", path, b"{}", {"Accept": "image/png"}))


def test_every_path_is_driven_by_a_test_above_and_refuses_what_it_is_not_for(gateway, described):
    driven = {IDENTIFY: "post", FEEDBACK: "post", EXPLAIN: "get"} | dict.fromkeys(
        ["/healthz", "/readyz", "/metrics"], "get"
    )
    assert {path: list(operations) for path, operations in described["paths"].items()} == {
        path: [method] for path, method in driven.items()
    }
    for path, method in driven.items():
        for other in {"get", "post", "put", "delete", "patch"} - {method}:
            asked = ask(gateway, other.upper(), path.format(transaction=new_id()), b"", {})
            assert (asked.status, asked.answered["Allow"]) == (405, method.upper()), asked
    assert ask(gateway, "GET", "/v2", b"", {}).status == 404


def test_a_key_and_how_often_one_may_ask_are_described_too(tmp_path, described):
    write_export(tmp_path / EXPORT)
    (tmp_path / "keys").write_text(f"{KEY}\n")
    assert "securitySchemes" not in described["components"]  # where everybody may ask
    with Gateway(tmp_path, "--keys", tmp_path / "keys", "--rate", "1") as gateway:
        described = json.loads(gateway.get("/openapi.json")[1])
        schemes = described["components"]["securitySchemes"].values()
        assert {scheme["type"] for scheme in schemes} == {"apiKey", "http"}
        for template, method in ((IDENTIFY, "POST"), (FEEDBACK, "POST"), (EXPLAIN, "GET")):
            path = template.format(transaction=new_id())
            for headers, status in ({}, 401), ({"X-API-Key": "é"}, 401), ({"Authorization": "Basic x"}, 401):
                asked = ask(gateway, method, path, RED, headers)
                check(described, template, asked)
                assert asked.status == status
        statuses = []
        for _ in range(2):
            asked = ask(gateway, "POST", IDENTIFY, RED, {"Authorization": f"Bearer {KEY}"})
            check(described, IDENTIFY, asked)
            statuses.append(asked.status)
    assert statuses == [200, 429]
