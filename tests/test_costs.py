"""data/costs.yaml: what it may hold, and messages that say what is wrong and where."""

import pytest
import yaml

from runtime.errors import InstructionError
from serving.usage import costs


def test_the_example_that_is_handed_out_is_good():
    known = costs.read_costs(costs.EXAMPLE)
    assert known.zone == "Europe/Zurich"
    assert all(getattr(known, name) for name in costs.Costs.model_fields), "it shows every section"


def test_an_absent_file_is_none_and_an_empty_one_is_all_defaults(tmp_path):
    path = tmp_path / "costs.yaml"
    assert costs.read_costs(path) is None
    path.touch()
    assert costs.read_costs(path) == costs.Costs()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"zone": "Berlin"}, r"zone: .*'Berlin' is no time zone; expected a name such as Europe/Zurich"),
        ({"zone": "../../etc/passwd"}, "zone: .*is no time zone"),
        ({"zone": "localtime"}, "zone: .*'localtime' is no time zone"),
        ({"service_level": {"objective": 99}}, r"service_level.objective: .*less than 1, got 99"),
        ({"service_level": {"within": 99}}, r"service_level.within: Extra inputs are not permitted"),
        ({"capacity_per_second": 0}, "capacity_per_second: .*greater than 0"),
        ({"capacity_per_second": "50"}, "capacity_per_second: .*valid number, got '50'"),
        ({"monthly": [{"what": "GPU node"}]}, r"monthly\.0\.cost: Field required"),
        ({"hours": [{"who": "engineer", "hours_per_week": -1, "cost_per_hour": 80}]}, r"hours\.0\.hours_per_week: "),
        ({"people": {"right": 9, "of": 8, "source": "blind test"}}, "people: .*9 are right, of 8"),
        ({"people": {"right": 9, "of": 10}}, r"people\.source: Field required"),
        ({"prices": 1}, "prices: Extra inputs"),
        ({"monthly": [{"what": "a", "cost": 1}] * 9}, "monthly: List should have at most 8 items"),
        (["zone"], "the file: .*"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_the_remedy(tmp_path, values, words):
    path = tmp_path / "costs.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(InstructionError, match=f"costs.yaml: {words}") as raised:
        costs.read_costs(path)
    assert "costs_example.yaml" in str(raised.value)


@pytest.mark.parametrize(
    "text", ["zone: [", "people: {source: 2026-02-30}", f"zone: {'[' * 3000}", f"zone: {'9' * 5000}"]
)
def test_what_is_no_yaml_is_refused(tmp_path, text):
    path = tmp_path / "costs.yaml"
    path.write_text(text)
    with pytest.raises(InstructionError, match="is not YAML"):
        costs.read_costs(path)


def test_the_command_says_that_a_file_is_good_or_absent(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("sys.argv", ["costs", str(costs.EXAMPLE)])
    costs.main()
    assert "is good" in caplog.text
    monkeypatch.setattr("sys.argv", ["costs", str(tmp_path / "none.yaml")])
    with pytest.raises(InstructionError, match="is not there"):
        costs.main()
