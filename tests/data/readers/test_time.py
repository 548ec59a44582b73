"""The time of the steps of series: sorting by it, duplicates, missing times, and lines that are not in its order."""

import csv
import io
import json
import logging
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.readers import read_frame, read_labelled
from elman.data.readers.time_order import looks_like_time
from elman.data.readers.times import as_time

SHUFFLED = [("m17", 3, 30.0), ("m2", 1, 100.0), ("m17", 1, 10.0), ("m17", 2, 20.0), ("m2", 0, 90.0)]


def write_table(folder: Path, kind: str, rows: list[tuple], header: str = "machine,when,x") -> Path:
    """Return a table in a file of this kind."""
    names = header.split(",")
    path = folder / f"machines{kind}"
    if kind == ".parquet":
        polars.DataFrame([dict(zip(names, row, strict=True)) for row in rows]).write_parquet(path)
    elif kind == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    else:
        text = io.StringIO()
        csv.writer(text, delimiter="\t" if kind == ".tsv" else ",").writerows([names, *rows])
        path.write_text(text.getvalue())
    return path


def columns(rows: list[tuple], header: str = "machine,when,x") -> dict[str, list]:
    return dict(zip(header.split(","), map(list, zip(*rows, strict=True)), strict=True))


def values(read) -> dict:
    """Return the values of each series by its name."""
    return {name: series[:, 0].tolist() for name, series in zip(read.names, read.inputs, strict=True)}


SORTED = {"m17": [10, 20, 30], "m2": [90, 100]}
HOW = {"values": "x", "group": "machine", "time": "when"}


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_the_steps_of_a_group_are_sorted_by_time(tmp_path, kind):
    path = write_table(tmp_path, kind, SHUFFLED)
    read = read_labelled(path, **HOW)
    assert values(read) == SORTED
    assert read.places == [f"{path}: machine m17", f"{path}: machine m2"]


@pytest.mark.parametrize("frame", [dict, pandas.DataFrame, polars.DataFrame])
def test_frames_are_sorted_by_numbers_dates_and_zoned_times(frame):
    zone = timezone(timedelta(hours=-5))
    first = datetime(2024, 3, 1, 12, tzinfo=zone)
    kinds = [
        lambda t: t,
        lambda t: float(t) / 2,
        lambda t: str(10 * t),
        lambda t: f"2024-01-{t + 1:02d}",
        lambda t: f"2024-01-01T0{t}:30:00+01:00",
        lambda t: date(2024, 1, 1) + timedelta(days=t),
        lambda t: datetime(2024, 1, 1) + timedelta(hours=t),
        lambda t: first + timedelta(hours=t),
        lambda t: timedelta(seconds=t),
        lambda t: time(t),
    ]
    for kind in kinds:
        read = read_frame(frame(columns([(name, kind(t), x) for name, t, x in SHUFFLED])), **HOW)
        assert values(read) == SORTED, kind(1)
        assert read.places == ["machine m17", "machine m2"]


def test_nanoseconds_are_kept():
    """Times that differ in nanoseconds are in order, whatever library holds them."""
    times = np.array(["2024-01-01T00:00:00.000000002", "2024-01-01T00:00:00.000000001"], "M8[ns]")
    table = {"machine": ["a", "a"], "when": times, "x": [2.0, 1.0]}
    for frame in (table, pandas.DataFrame(table), polars.DataFrame(table), {**table, "when": list(map(str, times))}):
        assert values(read_frame(frame, **HOW)) == {"a": [1, 2]}
    zoned = pandas.DataFrame(table).assign(when=lambda frame: frame.when.dt.tz_localize("Europe/Berlin"))
    same = polars.DataFrame(table).with_columns(polars.col("when").dt.replace_time_zone("Europe/Berlin"))
    for frame in (zoned, same):
        assert values(read_frame(frame, **HOW)) == {"a": [1, 2]}


def test_dates_are_refused_as_values():
    times = np.array(["2024-01-01", "2024-01-02"], "M8[ns]")
    for frame in (pandas.DataFrame, polars.DataFrame):
        with pytest.raises(ValueError, match="row 0: expected a finite number in 'when'"):
            read_frame(frame({"when": times, "x": [1, 2]}), values=["when", "x"])


def test_other_entries_of_a_mapping_may_have_any_length():
    for other in ([1], 5, None):
        read = read_frame({"machine": ["a", "a"], "x": [1, 2], "time": other}, values="x", group="machine")
        assert read.names == ["a"]


def test_zones_are_compared_in_utc_and_across_a_change_of_the_clock():
    rows = [("a", "2024-10-27T02:30:00+01:00", 2), ("a", "2024-10-27T02:30:00+02:00", 1), ("a", "2024-10-27 02:00Z", 3)]
    assert values(read_frame(columns(rows), **HOW)) == {"a": [1, 2, 3]}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 3)), min_size=1, max_size=12))
def test_the_order_is_that_of_a_stable_sort(steps):
    rows = [(name, t, line) for line, (name, t) in enumerate(steps)]
    expected = {name: [float(line) for _, t, line in sorted((row for row in rows if row[0] == name),
                                                            key=lambda row: row[1])]
                for name in dict.fromkeys(name for name, _ in steps)}  # fmt: skip
    assert values(read_frame(columns(rows), **HOW)) == expected


def test_without_a_group_the_file_is_sorted(tmp_path):
    path = write_table(tmp_path, ".csv", [(3, 30), (1, 10)], "when,x")
    read = read_labelled(path, values=["x", "when"], time="when")
    np.testing.assert_array_equal(read.inputs[0], [[10, 1], [30, 3]])
    assert read.names is None


def test_steps_of_the_same_time_are_reported_and_keep_their_order(tmp_path, caplog):
    rows = [("m17", 5, 1.0), ("m2", 5, 9.0), ("m17", 4, 0.0), ("m17", 5, 2.0), ("m17", 5, 3.0)]
    path = write_table(tmp_path, ".csv", rows)
    assert values(read_labelled(path, **HOW)) == {"m17": [0, 1, 2, 3], "m2": [9]}
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}:5: machine m17 repeats the time 5 of {path}:2 (the first of 2 repeated times); "
        "steps of the same time keep the order of their lines"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("m2", "", 1.0), "expected a time in 'when', found none; fill it in, or leave the line out."),
        (("m2", "01/02/2024", 1.0), "'when': expected a number or an ISO 8601 date or time (17, 2024-01-31, "
                                    "2024-01-31T14:05:00+01:00), got '01/02/2024'."),
        (("m2", "1_0", 1.0), "got '1_0'."),
        (("m2", "2024-01-01", 1.0), "expected a number in 'when' as in "),
        (("m2", "inf", 1.0), "got 'inf'."),
    ],
)  # fmt: skip
def test_a_time_that_is_missing_or_of_another_kind_names_its_line(tmp_path, row, message):
    for kind in (".csv", ".tsv", ".jsonl"):
        path = write_table(tmp_path, kind, [("m17", "3", 1.0), row])
        with pytest.raises(ValueError, match=str(path)) as raised:
            read_labelled(path, **HOW)
        assert str(raised.value).startswith(f"{path}:{2 if kind == '.jsonl' else 3}: ")
        assert message in str(raised.value)


@pytest.mark.parametrize("missing", [None, float("nan"), np.datetime64("NaT"), pandas.NaT])
def test_a_missing_time_of_a_frame_names_its_row(missing):
    with pytest.raises(ValueError, match=r"^row 1: expected a time in 'when', found none; fill it in, or leave"):
        read_frame({"machine": ["a", "a"], "when": [3, missing], "x": [1, 2]}, **HOW)


def test_texts_have_no_time():
    with pytest.raises(ValueError, match=r"^time='when': has no effect on texts"):
        read_frame({"t": ["a"], "when": [1]}, text="t", time="when")
    with pytest.raises(ValueError, match=r"^expected different columns, got 'machine' twice"):
        read_frame(columns(SHUFFLED), values="x", group="machine", time="machine")


def test_times_of_python_numpy_and_text_agree():
    moment = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    alike = [moment, pandas.Timestamp(moment), moment.isoformat(), "2024-05-06 09:08:09.123456+02:00"]
    assert len({as_time(value) for value in alike}) == 1
    naive = moment.replace(tzinfo=None)
    alike = [naive, pandas.Timestamp(naive), np.datetime64(naive), naive.isoformat(), "20240506T070809.123456"]
    assert len({as_time(value) for value in alike}) == 1
    assert as_time("2024-05") == as_time(date(2024, 5, 1)) == as_time(np.datetime64("2024-05"))
    assert as_time(17) == as_time("17") == as_time(17.0) == as_time(np.int8(17))
    assert as_time(2**60 + 1).value - as_time(str(2**60)).value == 1


# Lines that are not in the order of a time that was not named.


def warnings(caplog) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return found


@pytest.mark.parametrize("name", ["time", "Date", "timestamp", "t", "step", "hour", "event_time", "time (s)"])
@pytest.mark.parametrize("when", [lambda t: t, lambda t: f"2024-01-{t + 1:02d}"])
def test_a_column_with_the_name_of_a_time_that_runs_backwards_is_reported_once(tmp_path, caplog, name, when):
    rows = [("m2", when(0), 1.0), ("m17", when(2), 1.0), ("m17", when(1), 2.0), ("m9", when(5), 1), ("m9", when(4), 1)]
    path = write_table(tmp_path, ".csv", rows, f"machine,{name},x")
    read = read_labelled([path, path], values="x", group="machine")
    assert [series.tolist() for series in read.inputs[:3]] == [[[1]], [[1], [2]], [[1], [1]]]
    assert warnings(caplog) == [
        f"{path}:4: '{name}' runs backwards in machine m17, from {path}:3, as in 1 other series; steps keep the order "
        f"of their lines; to sort them by this column, set time='{name}' (--time {name})"
    ]
    read_labelled(path, values="x", group="machine", time=name)
    assert warnings(caplog) == []


@pytest.mark.parametrize("frame", [dict, pandas.DataFrame, polars.DataFrame])
def test_a_time_of_a_frame_that_runs_backwards_is_reported(caplog, frame):
    read_frame(frame({"machine": [1, 1], "time": [2, 1], "x": [0.5, 1]}), values="x", group="machine")
    assert warnings(caplog)[0].startswith("row 1: 'time' runs backwards in machine 1, from row 0; steps")


def test_a_column_that_increases_in_almost_all_groups_is_a_time(caplog):
    steps = [(f"g{group}", line, 1.0) for group in range(20) for line in range(4)]
    back = [("g20", 1, 1.0), ("g20", 0, 1.0)]
    read_frame(columns([*steps, *back], "g,counter,x"), values="x", group="g")
    assert warnings(caplog)[0].startswith("row 81: 'counter' runs backwards in g g20, from row 80; steps")


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("g,time,x", [("a", 0, 1), ("b", 0, 1), ("a", 1, 1), ("b", 0.5, 1)]),  # in order
        ("g,time,x", [("a", 0, 1), ("a", "soon", 1), ("a", -1, 1)]),  # not times
        ("g,reaction_time,x", [("a", 3, 1), ("a", 2, 1), ("a", 4, 1)]),  # a variable
        ("g,hour,x", [("a", step % 24, 1) for step in range(72)]),  # hours of the day repeat
        ("g,date,hour,x", [("a", f"2024-01-0{day}", hour, 1) for day in (1, 2) for hour in (1, 0)]),
        ("g,time,step,x", [("a", "2024-01-02", 0, 1), ("a", "2024-01-01", 1, 1)]),  # the order is that of another time
        ("g,level,x", [(f"g{n}", value, 1) for n in range(20) for value in (3, 1, 2)]),  # in order in few groups
    ],
)
def test_other_columns_are_not_reported(caplog, header, rows):
    read_frame(columns(rows, header), values="x", group="g")
    assert warnings(caplog) == []


def test_columns_are_recognised_as_times_by_name():
    for name in ("time", "Times", "startTime", "record_date", "time_s", "t", "Timestamp (UTC)", "step", "frames"):
        assert looks_like_time(name), name
    for name in (
        "x",
        "temperature",
        "sentiment",
        "lifetime",
        "time_to_failure",
        "rate",
        "date_of_birth",
        "s",
        "id",
        "",
    ):
        assert not looks_like_time(name), name


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (np.datetime64("-5000-01-01"), np.datetime64("999999-12-31")),  # far outside NumPy's nanoseconds
        (np.datetime64("2023", "Y"), np.datetime64("2024-02", "M")),
        (np.timedelta64(-1, "as"), np.timedelta64(1, "ns")),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=23))),  # in UTC outside Python's years
         datetime.max.replace(tzinfo=timezone(timedelta(hours=-23)))),
    ],
)  # fmt: skip
def test_times_outside_the_range_of_a_library_are_in_order(earlier, later):
    assert as_time(earlier).value < as_time(later).value


@pytest.mark.parametrize(
    "value", [10**400, "1" + "0" * 400, "1e400", Decimal("sNaN"), Decimal("1e400"), np.timedelta64(1, "Y"), True]
)
def test_numbers_outside_the_floats_are_not_times(value):
    with pytest.raises(ValueError, match="expected a number or an ISO 8601 date"):
        as_time(value)
    read_frame({"time": [value, 1], "x": [0, 1]}, values="x")  # a column that only looks like a time


@pytest.mark.parametrize("kind", ["Duration", "Time", "Datetime"])
def test_nanoseconds_of_polars_are_in_order(kind, caplog):
    dtype = polars.Time if kind == "Time" else getattr(polars, kind)("ns")
    frame = polars.DataFrame({"t": polars.Series([3, 1, 2]).cast(dtype), "x": [3, 1, 2]})
    assert read_frame(frame, values="x", time="t").inputs[0].ravel().tolist() == [1, 2, 3]
    assert warnings(caplog) == []
