"""The workflow that puts the review on a pull request: what its steps do, and what its jobs may do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/review.yml").read_text(encoding="utf-8"))
MARK = "<!-- retrain: review -->"
# Stands for the forge's program: keeps comments in a file, and answers the calls that the step makes.
GH = """\
#!{python}
import json, re, sys
from pathlib import Path

arguments, store = sys.argv[1:], Path("comments.json")
comments = json.loads(store.read_text())
url = next(each for each in arguments if each.startswith("repos/"))
if "--jq" in arguments:
    query = arguments[arguments.index("--jq") + 1]
    wanted = re.search(r'login == "(.+?)" and [(].body [|] startswith[(]"(.+?)"', query)
    found = [str(c["id"]) for c in comments if c["login"] == wanted[1] and c["body"].startswith(wanted[2])]
    print("\\n".join(found))
else:
    body = Path(next(each for each in arguments if each.startswith("body=@"))[6:]).read_text()
    if "PATCH" in arguments:
        next(c for c in comments if url.endswith(f"/issues/comments/{{c['id']}}"))["body"] = body
    else:
        assert url == "repos/team/retrain/issues/7/comments", url
        comments.append({{"id": 100 + len(comments), "login": "github-actions[bot]", "body": body}})
    store.write_text(json.dumps(comments))
"""


@pytest.fixture
def forge(tmp_path, monkeypatch):
    """A folder with a `gh` of its own, and two comments that are none of the workflow's."""
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    program.write_text(GH.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("REPOSITORY", "team/retrain")
    monkeypatch.setenv("NUMBER", "7")
    others = [("ana", f"{MARK}\nnot the bot's"), ("github-actions[bot]", "another workflow's")]
    (tmp_path / "comments.json").write_text(
        json.dumps([{"id": number, "login": login, "body": body} for number, (login, body) in enumerate(others)])
    )
    return tmp_path


def comment(review: str) -> list[str]:
    step = next(each for each in WORKFLOW["jobs"]["comment"]["steps"] if each.get("name") == "Comment")
    Path("review.md").write_text(review)
    subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], check=True)
    return [each["body"] for each in json.loads(Path("comments.json").read_text())]


def test_there_is_one_comment_that_is_kept_up_to_date_and_no_other_is_touched(forge):
    before = [each["body"] for each in json.loads((forge / "comments.json").read_text())]
    assert comment("## Gate: no\n") == [*before, f"{MARK}\n## Gate: no\n"]
    assert comment("## Gate: yes\n`$(id)`\n") == [*before, f"{MARK}\n## Gate: yes\n`$(id)`\n"]


def test_the_job_that_may_write_runs_nothing_of_the_branch_and_not_for_forks():
    job = WORKFLOW["jobs"]["comment"]
    assert job["permissions"] == {"pull-requests": "write"}
    assert "head.repo.full_name == github.repository" in job["if"]
    assert not [step for step in job["steps"] if "checkout" in step.get("uses", "") or "python" in step.get("run", "")]


def test_the_job_that_runs_the_branch_s_code_may_only_read():
    assert WORKFLOW["permissions"] == {}
    assert WORKFLOW["jobs"]["review"]["permissions"] == {"contents": "read"}
    assert WORKFLOW[True] == "pull_request"  # YAML 1.1 takes `on` for true


def test_nothing_that_an_outsider_names_is_pasted_into_a_script():
    scripts = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]
