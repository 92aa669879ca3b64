"""Who may use the desk: one person on this machine, people with a link, people whom a proxy names; nobody else."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from desks import Server, go, prepared, said
from fastapi.routing import APIRoute
from repositories import ROOT

from curation import desk as desks_command
from curation.invites import FILE, Invites
from curation.security import door, hosts, is_loopback
from curation.state import Desk
from curation.web import make

pytestmark = pytest.mark.slow
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def world(tmp_path):
    with prepared(tmp_path, ("boots", "hat"), 4, 2) as world:
        yield world


def desk(*options: str) -> str:
    """What `make desk` says with these options, where it ends by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "curation.desk", *options],
        capture_output=True, encoding="utf-8", check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.stdout + done.stderr


def asked(port: int, path: str, method: str = "GET", body: str | None = None, **headers: str) -> tuple[int, str, dict]:
    """The status, text and headers of an answer; names of headers with _ for -."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, {"Host": f"127.0.0.1:{port}", **sent})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace"), dict(answer.getheaders())


def test_an_invited_person_comes_in_by_the_link_and_decides_under_their_name(world, browser):
    with Server("--host=0.0.0.0") as server:
        told = desk("--host=10.1.2.3", f"--port={server.port}", "--invite=ben")
        link = re.search(rf"http://10\.1\.2\.3:{server.port}/invited/(\S+)", told)
        secret = link[1]
        assert secret not in FILE.read_text()
        assert FILE.stat().st_mode & 0o077 == 0
        tab = browser.new_page()
        tab.goto(f"{server.address}/label")
        assert "does not know you yet" in tab.inner_text("body")
        assert Axe().run(tab).violations_count == 0
        tab.goto(f"{server.address}/invited/{secret}")
        assert tab.inner_text("h1") == "You are ben"
        assert Axe().run(tab).violations_count == 0
        tab.keyboard.press("Enter")
        tab.wait_for_selector("body[data-page=home][data-person=ben]")
        cookie = tab.context.cookies()[0]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        tab.goto(f"{server.address}/label")
        image_id = tab.get_attribute("[data-image-id]", "data-image-id")
        tab.keyboard.press("1")
        tab.wait_for_function("id => document.querySelector('[data-image-id]')?.dataset.imageId !== id", arg=image_id)
        tab.wait_for_function("() => document.getElementById('last').children.length === 1")
        assert [row[0] for row in said("ben")] == [image_id]
        assert said("ana") == []
        assert "1 link of ben ended" in desk("--withdraw=ben")
        tab.reload()
        assert "does not know you yet" in tab.inner_text("body")
        tab.close()


def twice(port: int, header: str, *values: str) -> int:
    """The status of a request that has a header several times."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.putrequest("GET", "/", skip_host=True)
        connection.putheader("Host", "desk.example.org")
        for value in values:
            connection.putheader(header, value)
        connection.endheaders()
        return connection.getresponse().status


def test_what_a_stranger_sends_stops_the_desk_for_nobody(world):
    with Server("--host=0.0.0.0") as server:
        secret = Invites().add("ben", 1, datetime.now(UTC))
        status, text, _ = asked(server.port, "/invited", "POST", f"secret={'x' * 2**21}")
        assert (status, "the form is too large" in text, "Double-check" in text) == (409, True, False)
        assert asked(server.port, "/", Cookie=f"desk={secret}")[0] == 200


def test_two_people_on_one_desk_each_sort_what_is_given_to_both(world):
    with Server("--host=0.0.0.0", "--team=ana,ben", "--share=1") as server:
        for person in ("ana", "ben"):
            secret = Invites().add(person, 1, datetime.now(UTC))
            body = f"key=y&image_id={world.unlabelled[0]}"
            status, text, _ = asked(
                server.port, "/sort", "POST", body, Cookie=f"desk={secret}", Accept="application/json"
            )
            assert status == 200, text
            assert [row[0] for row in said(person)] == [world.unlabelled[0]]


def test_the_end_of_a_link_is_said_once_on_an_open_page(world, browser):
    with Server("--host=0.0.0.0") as server:
        secret = Invites().add("ben", 1, datetime.now(UTC))
        tab = browser.new_page()
        tab.context.add_cookies([{"name": "desk", "value": secret, "url": server.address}])
        go(tab, server, "/label")
        assert "1 link of ben ended" in desk("--withdraw=ben")
        tab.keyboard.press("1")
        tab.keyboard.press("1")
        tab.wait_for_selector("#notices p")
        tab.wait_for_timeout(1500)  # it would be said again by now
        assert tab.locator("#notices p").all_inner_texts() == [
            "Your link has ended. Ask whoever runs the desk for another, open it, and reload this page."
        ]
        assert (said("ana"), said("ben")) == ([], [])
        tab.close()


def addresses(image_id: str) -> list[tuple[str, str]]:
    """Every address of the desk that is for people who are known, each with its method."""
    app = make(Desk(), door("10.0.0.1", 80, "ana"))
    paths = {(method, each.path) for each in app.routes if isinstance(each, APIRoute) for method in each.methods}
    of = {"{side}": "256", "{image_id}": image_id, "{name:path}": "boots", "{secret}": "guessed"}
    filled = {(method, re.sub(r"{[^}]+}", lambda found: of[found[0]], path)) for method, path in paths}
    return sorted(each for each in filled if not each[1].startswith("/invited"))


def test_without_a_person_nobody_sees_a_page_or_a_picture_or_decides(world):
    image_id = world.unlabelled[0]
    known = addresses(image_id)
    pages = ("", "production", "second-look", f"frame/{image_id}", f"activation/{image_id}", "duplicates/rules")
    assert {("GET", f"/{each}") for each in pages} | {("POST", "/label"), ("GET", f"/picture/256/{image_id}")} < {
        *known
    }
    with Server("--host=0.0.0.0") as server:
        for method, path in known:
            sent = f"key=1&image_id={image_id}" if method == "POST" else None
            status, text, headers = asked(server.port, path, method, sent, Cookie="desk=guessed")
            assert status == 401, path
            assert image_id not in text
            assert "default-src 'none'" in headers["content-security-policy"]
        assert asked(server.port, "/invited/guessed")[0] == 401
        assert asked(server.port, "/invited", "POST", "secret=guessed")[0] == 401
        assert "set-cookie" not in asked(server.port, "/invited", "POST", "secret=guessed")[2]
        assert said("ana") == []


def test_another_name_of_the_desk_is_refused_unless_it_is_an_address_or_the_site_s(world):
    with Server("--host=0.0.0.0", "--site=desk.example.org") as server:
        assert asked(server.port, "/", Host=f"evil.example.org:{server.port}")[0] == 403
        for host in (f"192.168.7.7:{server.port}", "desk.example.org", f"[fe80::1]:{server.port}"):
            assert asked(server.port, "/", Host=host)[0] == 401, host
        secret = Invites().add("ben", 1, datetime.now(UTC))
        site = {"Host": "desk.example.org", "Origin": "https://desk.example.org"}
        status, _, headers = asked(server.port, "/invited", "POST", f"secret={secret}", **site)
        assert (status, "Secure" in headers["set-cookie"]) == (303, True)
        elsewhere = {"Host": "desk.example.org", "Origin": "https://evil.example.org"}
        assert asked(server.port, "/invited", "POST", f"secret={secret}", **elsewhere)[0] == 403


def test_a_header_names_people_only_where_the_proxy_sends_it(world):
    def person(server, **headers):
        status, text, _ = asked(server.port, "/", Host="desk.example.org", **headers)
        return re.search(r'data-person="([^"]*)"', text)[1] if status == 200 else status

    proxied = ("--site=desk.example.org", "--user-header=X-Forwarded-User")
    with Server(*proxied, "--proxy=127.0.0.1") as server:
        assert person(server, X_Forwarded_User="ben@example.org") == "ben"
        assert person(server) == 401
        assert person(server, X_Forwarded_User="../ben") == 401
        assert twice(server.port, "X-Forwarded-User", "eva", "ben") == 401, "a client may have sent the first"
    with Server(*proxied, "--proxy=10.0.0.5") as server:
        assert person(server, X_Forwarded_User="ben", X_Forwarded_For="10.0.0.5") == 401


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--invite=ben"], "Say where the desk is found: make desk INVITE=ben HOST="),
        (["--invite=ben", "--host=0.0.0.0"], "nobody else can reach 0.0.0.0"),
        (["--invite=ben", "--host=10.0.0.1", "--days=0"], "a link lasts 1 to 3660 days"),
        (["--invite=../ben", "--host=10.0.0.1"], "cannot be a person's name"),
        (["--proxy=10.0.0.5"], "a proxy and its header go together"),
        (["--withdraw=nobody"], "0 links of nobody ended"),
    ],
)
def test_what_cannot_be_is_said(world, options, match):
    assert match in desk(*options)


def test_a_link_ends_with_its_day_and_another_s_stays(tmp_path):
    invites = Invites(tmp_path / "invites.json")
    of_ben, of_eva = invites.add("ben", 1, NOW), invites.add("eva", 30, NOW)
    assert invites.find(of_ben, NOW).person == "ben"
    assert invites.find(of_ben, NOW + timedelta(days=1)) is None
    assert invites.find(of_eva, NOW + timedelta(days=1)).person == "eva"
    assert invites.find("", NOW) is None
    assert invites.withdraw("eva") == 1
    assert invites.find(of_eva, NOW) is None
    invites.add("ben", 1, NOW + timedelta(days=2))
    assert len(json.loads((tmp_path / "invites.json").read_text())) == 1, "what has ended is forgotten"


def test_links_given_out_and_withdrawn_at_the_same_time_are_all_obeyed(tmp_path):
    path = tmp_path / "desk" / "invites.json"
    now = datetime.now(UTC)

    def invited(number):
        person = f"person{number % 10}"
        if number >= 30:
            return Invites(path).withdraw("ben")
        return Invites(path).add(person, 30, now)

    Invites(path).add("ben", 30, now)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(invited, range(40)))
    assert sum(answers[30:]) == 1
    assert all(Invites(path).find(secret) for secret in answers[:30])


def test_a_damaged_list_of_links_lets_nobody_in(world):
    secret = Invites().add("ben", 1, datetime.now(UTC))
    with Server("--host=0.0.0.0") as server:
        assert asked(server.port, "/", Cookie=f"desk={secret}")[0] == 200
        Path(FILE).write_text("[{]")
        assert asked(server.port, "/", Cookie=f"desk={secret}")[0] == 401


def test_one_person_on_this_machine_needs_nothing():
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "10.0.0.1", "desk.local")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert "127.0.0.1" in hosts("127.0.0.1", 80)
    assert "127.0.0.1" not in hosts("127.0.0.1", 8765)


def test_an_address_of_ipv6_is_printed_as_browsers_take_it(world, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(desks_command.uvicorn, "run", lambda *_, **__: None)
    monkeypatch.setattr("sys.argv", ["desk", "--host=::1", "--port=1234"])
    desks_command.main()
    assert "at http://[::1]:1234/;" in caplog.text
