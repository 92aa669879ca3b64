"""The tables of `make usage`: each figure is what another way of counting gives, in the site's own hours."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_gateway_keeper import World
from visitors import changed, identities, row_times, ship, visits

from runtime.errors import InputError, RemoteError
from serving import late_feedback, transactions
from serving.archive import Archive
from serving.usage import duck, report
from serving.usage.costs import Costs
from serving.usage.period import Period, last_days, midnight

ZURICH = "Europe/Zurich"
NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)


def written(folder, place, zone=ZURICH, days=60, now=NOW, costs=None) -> dict[str, pd.DataFrame]:
    """Write a report, and read its tables."""
    (folder / "out/tables").mkdir(parents=True, exist_ok=True)
    report.write(report.Settings(str(place), folder / "out", last_days(days, zone, now), costs), folder / "out")
    return {path.stem: pq.read_table(path).to_pandas() for path in (folder / "out/tables").glob("*.parquet")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report of made-up transactions, and the transactions of its period."""
    folder = tmp_path_factory.mktemp("made")
    rows = visits(4000, NOW - timedelta(days=40), 39, np.random.default_rng(0), sure=30.0)
    tables = written(folder, ship(rows, folder / "place", at_once=70), days=30)
    frame = rows.drop_columns(["scores"]).to_pandas()
    since = pd.Timestamp("2026-10-29", tz=ZURICH)
    frame = frame[frame["received_at"] >= since]
    frame["local"] = frame["received_at"].dt.tz_convert(ZURICH)
    frame["own"] = frame["total_ms"] - frame["read_ms"]
    return folder, frame, tables


def test_the_summary_counts_each_transaction_once(made):
    _, frame, tables = made
    found = tables["summary"].iloc[0]
    assert found["pictures"] == len(frame) > 2000
    for status in ("answered", "refused", "failed", "aborted"):
        assert found[status] == (frame["status"] == status).sum()
    assert found["shown"] == frame["shown"].eq(True).sum()
    assert found["called_wrong"] == (frame["feedback"] == "wrong").sum()


def test_every_day_has_a_row_by_the_clock_of_the_site(made):
    _, frame, tables = made
    days = tables["days"].set_index("day")
    assert [str(day)[:10] for day in days.index] == [
        f"{day:%Y-%m-%d}" for day in pd.date_range("2026-10-29", "2026-11-27")
    ]
    by_day = frame.groupby(frame["local"].dt.date)
    for day, rows in by_day:
        found = days.loc[day]
        answered = rows[rows["status"] == "answered"]
        assert found["pictures"] == len(rows)
        assert found["users"] == rows["user_hash"].nunique()
        assert found["p95_ms"] == pytest.approx(answered["own"].quantile(0.95))
        assert found["in_time"] == (answered["own"] <= 1000).sum()
        assert found["counted"] == len(rows) - (rows["status"] == "refused").sum()
    quiet = days.loc[~days.index.isin(list(by_day.groups))]
    assert (quiet["pictures"] == 0).all()


def test_classes_confidences_versions_and_faults_are_what_a_count_gives(made):
    _, frame, tables = made
    answered = frame[frame["status"] == "answered"]
    counts = answered["class_1"].value_counts()
    assert dict(zip(tables["classes"]["class_name"], tables["classes"]["answers"], strict=True)) == counts.to_dict()
    medians = answered.groupby("class_1")["confidence_1"].median()
    assert tables["classes"].set_index("class_name")["median_confidence"].to_dict() == pytest.approx(medians.to_dict())
    low = (answered["confidence_1"] // 5 * 5).clip(upper=95)
    assert tables["confidences"].set_index("at_least")["answers"].to_dict() == low.value_counts().to_dict()
    assert tables["versions"]["answers"].tolist() == [len(answered)]
    faults = Counter(fault for each in answered["faults"].fillna("none") for fault in each.split(", "))
    assert tables["faults"].set_index("fault")["answers"].to_dict() == dict(faults)


def test_times_are_percentiles_without_what_the_picture_took_to_arrive(made):
    _, frame, tables = made
    answered = frame[frame["status"] == "answered"]
    found = tables["latency"].set_index("part")
    for part, values in (("whole", answered["own"]), ("model", answered["model_ms"]), ("arrival", answered["read_ms"])):
        assert found.loc[part, "p99_ms"] == pytest.approx(values.quantile(0.99))
        assert found.loc[part, "median_ms"] == pytest.approx(values.quantile(0.5))


def test_the_busiest_minute_is_the_one_with_most_pictures(made):
    _, frame, tables = made
    counts = frame["received_at"].dt.floor("min").value_counts()
    busiest = tables["minutes"].iloc[0]
    assert busiest["pictures"] == counts.max() == counts[busiest["minute"]]
    assert busiest["per_second"] == pytest.approx(counts.max() / 60)


def test_errors_add_up_to_what_was_not_answered(made):
    _, frame, tables = made
    assert tables["errors"]["pictures"].sum() == (frame["status"] != "answered").sum()


def test_the_queries_handed_out_answer_the_same_of_what_gateways_shipped(made, tmp_path):
    folder, _, tables = made
    period = last_days(30, ZURICH, NOW)
    given = {"files": folder / "place/day=*/*.parquet", **period._asdict(), "objective": 0.99, "within_ms": 1000.0}
    again = duck.ask((folder / "out/tables/usage.sql").read_text(), given, tmp_path)
    for name in again:
        assert again[name] == pq.read_table(folder / f"out/tables/{name}.parquet").to_pylist()
        csv = pd.read_csv(folder / f"out/tables/{name}.csv")
        assert list(csv.columns) == list(tables[name].columns)
        assert len(csv) == len(tables[name])


def asked(moments, **columns) -> pa.Table:
    """Transactions at these moments, answered in 100 ms unless the columns say something else."""
    num = len(moments)
    rows = visits(num, NOW, 1, np.random.default_rng(1))
    plain = {"status": "answered", "shown": True, "class_1": "cup", "confidence_1": 99.0, "version": 7}
    plain |= {"total_ms": 150.0, "read_ms": 50.0, "threshold": 95.0, "feedback": None, "user_hash": None}
    given = {name: [value] * num for name, value in plain.items()} | {"received_at": moments} | columns
    return changed(rows, transaction_id=identities(num, np.random.default_rng(2)), **given)


@pytest.mark.parametrize(
    ("day", "twice", "never"), [("2026-03-29", None, 2), ("2026-10-25", 2, None)], ids=["spring", "autumn"]
)
def test_hours_are_the_clocks_on_the_days_on_which_it_is_turned(tmp_path, day, twice, never):
    since = datetime.fromisoformat(f"{day}T00:00:00").replace(tzinfo=ZoneInfo(ZURICH)).astimezone(UTC)
    until = midnight(since + timedelta(hours=26), ZURICH)
    num_hours = (until - since) / timedelta(hours=1)
    assert num_hours == (25 if twice else 23)
    moments = row_times(since, 15, round(4 * num_hours))
    tables = written(tmp_path, ship(asked(moments), tmp_path / "place"), days=1, now=until - timedelta(milliseconds=1))
    hours = tables["hours"].set_index("hour")
    expected = Counter(moment.astimezone(ZoneInfo(ZURICH)).hour for moment in moments)
    assert hours["pictures"].to_dict() == dict(expected)
    assert (twice is None) or (hours.loc[twice, "pictures"] == 8)
    assert never not in hours.index
    assert hours["per_hour"].tolist() == pytest.approx([4.0] * len(hours), rel=1e-5), "the clock makes no rush hour"
    assert hours["weekday"].unique().tolist() == [7]
    assert tables["days"]["pictures"].tolist() == [len(moments)]


@pytest.mark.parametrize(
    "zone", ["UTC", ZURICH, "America/Sao_Paulo", "Asia/Kathmandu", "Africa/Cairo", "Australia/Lord_Howe"]
)
def test_a_day_begins_at_its_first_moment_and_days_leave_no_gap(zone):
    moments = row_times(datetime(2018, 10, 1, 3, 7, tzinfo=UTC), 12 * 60, 900)
    local = ZoneInfo(zone)
    for moment in moments:
        start = midnight(moment, zone)
        assert start <= moment
        assert start.astimezone(local).date() == moment.astimezone(local).date()
        assert (start - timedelta(seconds=1)).astimezone(local).date() < moment.astimezone(local).date()


def test_what_was_before_the_first_picture_is_no_quiet_time(tmp_path):
    monday = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    tables = written(tmp_path, ship(asked([monday]), tmp_path / "place"), zone="UTC", days=60)
    assert tables["days"]["pictures"].tolist() == [1, 0, 0, 0, 0]
    assert tables["hours"].query("weekday == 1 and hour == 10")["per_hour"].tolist() == [1.0]
    assert set(tables["hours"]["weekday"]) == {1, 2, 3, 4, 5}


def test_what_is_left_of_the_error_budget_follows_from_what_was_promised(tmp_path):
    moments = row_times(NOW - timedelta(days=1), 1, 200)
    status = ["failed"] + ["refused"] * 100 + ["answered"] * 99
    total = [150.0] * 199 + [1200.0]  # of which 50 ms are the picture's way: the last one is too late
    costs = Costs.model_validate({"service_level": {"objective": 0.9, "within_ms": 1000}})
    rows = asked(moments, status=status, total_ms=total)
    level = written(tmp_path, ship(rows, tmp_path / "place"), costs=costs)["service_level"].iloc[0]
    assert (level["counted"], level["in_time"], level["spent"]) == (100, 98, 2)
    assert level["budget"] == pytest.approx(10)
    assert level["left_fraction"] == pytest.approx(0.8)


def test_a_promise_that_nobody_could_break_has_no_budget(tmp_path):
    rows = asked([NOW - timedelta(hours=1)], status=["refused"])
    level = written(tmp_path, ship(rows, tmp_path / "place"))["service_level"].iloc[0]
    assert level["counted"] == 0
    assert pd.isna(level["left_fraction"])


def test_who_tries_again_within_two_minutes_is_counted_and_whether_it_helped(tmp_path):
    start = NOW - timedelta(hours=5)
    moments = [start + timedelta(seconds=second) for second in (0, 100, 100, 300, 900)]
    rows = asked(moments, user_hash=["a", "a", "b", "b", "a"], shown=[False, True, False, True, False])
    again = written(tmp_path, ship(rows, tmp_path / "place"))["again"].iloc[0]
    assert again.to_dict() == {"silent": 3, "tried_again": 1, "then_shown": 1}


def test_a_log_says_the_same_as_the_place_that_it_ships_to(tmp_path):
    world = World(tmp_path)
    rows = visits(300, NOW - timedelta(days=9), 9, np.random.default_rng(3)).to_pylist()
    for row in rows:
        known = {name: value for name, value in row.items() if value is not None}
        known |= {name: np.array(value) for name, value in known.items() if isinstance(value, list)}
        world.log.do(partial(transactions.insert, row=known)).result()
    of_log = written(tmp_path / "a", world.folder)
    of_place = written(tmp_path / "b", ship(pa.Table.from_pylist(rows, transactions.SCHEMA), tmp_path / "place"))
    world.log.close()
    assert of_log["summary"]["pictures"].tolist() == [300]
    for name, table in of_log.items():
        pd.testing.assert_frame_equal(table, of_place[name])


def test_what_users_said_after_a_row_was_shipped_is_counted(tmp_path):
    rows = asked([NOW - timedelta(hours=hours) for hours in (30, 20, 10)])
    place = ship(rows, tmp_path / "place")
    schema = pa.schema([transactions.SCHEMA.field(name) for name in late_feedback.COLUMNS])
    for row, said in zip(rows.to_pylist(), ("wrong", "right"), strict=False):
        late = pa.Table.from_pylist([row | {"feedback": said, "feedback_at": NOW}], schema)
        Archive(str(place)).add_feedback(late, f"{row['received_at']:%Y-%m-%d}", "a_1")
    assert written(tmp_path, place)["summary"][["called_right", "called_wrong"]].to_numpy().tolist() == [[1, 1]]


@pytest.fixture
def command(workspace, monkeypatch, caplog):
    """Runs the command and gives what it logged."""
    caplog.set_level(logging.INFO)

    def run(*arguments: object) -> str:
        monkeypatch.setattr("sys.argv", ["usage", *map(str, arguments)])
        report.main()
        return caplog.text

    return run


def recent(folder):
    return ship(asked(row_times(datetime.now(UTC) - timedelta(days=3), 60, 5)), folder)


def test_the_command_replaces_its_own_report_and_says_where_it_is(command, workspace):
    place = recent(workspace / "place")
    for _ in range(2):
        assert "5 pictures; open build/usage/index.html" in command("--from", place)
    (workspace / "data/costs.yaml").write_text("zone: Asia/Tokyo\n")
    command("--from", place)
    assert "Asia/Tokyo" in (workspace / "build/usage/index.html").read_text()
    command("--from", place, "--zone", "Asia/Seoul")
    assert "Asia/Seoul" in (workspace / "build/usage/index.html").read_text()
    assert not list(workspace.glob("build/usage/gathered*")), "nothing about single users stays"


def test_another_folder_is_never_replaced(command, workspace):
    place = recent(workspace / "place")
    (workspace / "photos").mkdir()
    (workspace / "photos/a.jpg").touch()
    for target in ("photos", "photos/a.jpg"):
        with pytest.raises(InputError, match="no report of ours"):
            command("--from", place, "--to", target)
    assert (workspace / "photos/a.jpg").exists()


def test_what_cannot_be_answered_is_refused_in_words(command, workspace):
    with pytest.raises(InputError, match=r"nowhere has no transactions since .* FROM, or more days by DAYS"):
        command("--from", workspace / "nowhere")
    with pytest.raises(InputError, match="'soon' is not a whole number of days"):
        command("--days", "soon")
    with pytest.raises(InputError, match="'Berlin' is no time zone"):
        command("--zone", "Berlin")


def test_a_query_that_fails_is_an_error_and_texts_stay_texts(tmp_path):
    with pytest.raises(duck.DuckError, match="nothing"):
        duck.ask("-- name: broken\nselect * from nothing", {}, tmp_path)
    hostile = "it's; drop table --"
    found = duck.ask("-- name: said\nselect getvariable('words') as words", {"words": hostile}, tmp_path)
    assert found["said"] == [{"words": hostile}]


def test_a_period_is_so_many_dates_today_being_the_last():
    period = last_days(2, ZURICH, datetime(2026, 10, 25, 22, 30, tzinfo=UTC))
    assert period == Period(
        ZURICH, *(datetime(2026, 10, day, 22, minute, tzinfo=UTC) for day, minute in ((23, 0), (25, 30)))
    )
    starts = [last_days(days, ZURICH, NOW).since for days in range(1, 50)]
    assert {(later - earlier) / timedelta(hours=1) for later, earlier in pairwise(starts)} == {24.0, 25.0}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "cannot be read as rows of a gateway: .* Bring it back"),
        (lambda data: data[:-20], "cannot be read as rows of a gateway: .* Bring it back"),
        (lambda data: in_parquet(class_1=pa.array([b"\xff"])), "cannot be read as rows of a gateway: .*UTF8"),
    ],
    ids=["empty", "cut off", "no text"],
)
def test_a_damaged_file_of_a_place_is_named_and_no_report_is_written(command, workspace, damage, words):
    place = recent(workspace / "place")
    (file, *_) = sorted(place.glob("day=*/*.parquet"))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(RemoteError, match=f"{file.name} {words}"):
        command("--from", place)
    assert not (workspace / "build/usage").exists()


def test_what_an_older_gateway_did_not_send_is_null(command, workspace):
    place = recent(workspace / "place")
    for file in place.glob("day=*/*.parquet"):
        pq.write_table(
            pq.ParquetFile(file).read().drop_columns(["shadow_shown", "client", "embedding", "scope_distance"]), file
        )
    assert "5 pictures" in command("--from", place)


def test_the_queries_handed_out_read_what_gateways_of_before_and_of_now_have_shipped(tmp_path):
    place = ship(visits(300, NOW - timedelta(days=9), 8, np.random.default_rng(3)), tmp_path / "place")
    for number, file in enumerate(sorted(place.glob("day=*/*.parquet"))):
        if number % 2:
            pq.write_table(pq.ParquetFile(file).read().drop_columns(["embedding", "shadow_shown"]), file)
    (answers,) = written(tmp_path, place)["summary"].to_dict("records")
    period = last_days(60, ZURICH, NOW)
    given = {"files": place / "day=*/*.parquet", **period._asdict(), "objective": 0.99, "within_ms": 1000.0}
    asked = duck.ask((tmp_path / "out/tables/usage.sql").read_text(), given, tmp_path)
    assert asked["summary"][0]["answered"] == answers["answered"] > 200


def in_parquet(**columns) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), out)
    return out.getvalue().to_pybytes()
