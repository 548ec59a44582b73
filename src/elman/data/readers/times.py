"""Times of the steps of series: numbers, dates, times with and without a zone, durations."""

import datetime as dt
import math
import re
from contextlib import suppress
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from elman.representation import brief

MONTH = re.compile(r"\d{4}-\d\d")
DIGITS = re.compile(r"([.,]\d{6})(\d{1,3})\d*")  # a fraction of a second: datetime ignores all but six digits
EPOCH = dt.datetime(1970, 1, 1)
MICROSECOND = dt.timedelta(microseconds=1)
ATTOSECONDS = {"W": 604_800 * 10**18, "D": 86_400 * 10**18, "h": 3_600 * 10**18, "m": 60 * 10**18, "s": 10**18,
               "ms": 10**15, "us": 10**12, "ns": 10**9, "ps": 10**6, "fs": 10**3, "as": 1}  # fmt: skip
EXAMPLES = "17, 2024-01-31, 2024-01-31T14:05:00+01:00"

NUMBER = "a number"
LOCAL = "a date or time without a time zone"
ZONED = "a time with a time zone"
CLOCK = "a time of day"
DURATION = "a duration"


class Time(NamedTuple):
    """Time of a step. Times of one kind are in the order of their values."""

    kind: str
    value: int | float  # a number; nanoseconds since 1970 (UTC, if the time has a zone), midnight, or the beginning


def as_time(value: Any) -> Time:
    """Return a field as a time.

    Args:
        value: a number; a date, time or duration of Python, NumPy or pandas; or text with a number, an ISO 8601 date,
            with or without time and zone, or a time of day.
    Raises:
        ValueError: the field is not a time.
    Example:
        >>> as_time("2024-01-31T14:00:00+01:00") == as_time("2024-01-31 13:00Z")
        True
        >>> as_time("17").value, as_time("00:00:01").value
        (17, 1000000000)
    """
    if isinstance(value, str):
        return _of_text(value.strip())
    if isinstance(value, np.datetime64 | np.timedelta64):
        return Time(LOCAL if isinstance(value, np.datetime64) else DURATION, _of_numpy(value))
    if isinstance(value, dt.datetime):  # pandas.Timestamp is one, with nanoseconds
        below = getattr(value, "nanosecond", 0)
        value = dt.datetime.combine(value.date(), value.timetz())
        offset = value.utcoffset()
        since = (value.replace(tzinfo=None) - EPOCH) // MICROSECOND - (offset or dt.timedelta()) // MICROSECOND
        return Time(LOCAL if offset is None else ZONED, since * 1000 + below)
    if isinstance(value, dt.date):
        return Time(LOCAL, (value - EPOCH.date()) // MICROSECOND * 1000)
    if isinstance(value, dt.time):
        since = dt.datetime.combine(EPOCH, value.replace(tzinfo=None)) - EPOCH - (value.utcoffset() or dt.timedelta())
        return Time(CLOCK, since // MICROSECOND * 1000)
    if isinstance(value, dt.timedelta):  # pandas.Timedelta is one, with nanoseconds
        return Time(DURATION, value // MICROSECOND * 1000 + getattr(value, "nanoseconds", 0))
    if isinstance(value, Real | Decimal) and not isinstance(value, bool):
        return _of_number(value)
    raise _error(value)


def _of_number(value: Any, written: Any = None) -> Time:
    """Return a number as a time; an error shows it as it is written."""
    with suppress(OverflowError, ValueError):  # ValueError: a signalling NaN
        if math.isfinite(value):  # as a float64
            return Time(NUMBER, int(value) if isinstance(value, Integral) else float(value))
    raise _error(value if written is None else written)


def _of_text(text: str) -> Time:
    if "_" not in text:  # Python reads 1_0 as 10
        for number in (int, float):
            try:
                value = number(text)
            except ValueError:
                continue
            return _of_number(value, text)
    digits = DIGITS.search(text)
    below = int(digits[2].ljust(3, "0")) if digits else 0
    text_of_date = f"{text}-01" if MONTH.fullmatch(text) else text
    for kind in (dt.datetime, dt.time):
        try:
            time = as_time(kind.fromisoformat(text_of_date))
        except (ValueError, OverflowError):
            continue
        return time._replace(value=time.value + below)
    raise _error(text)


def _of_numpy(value: Any) -> int:
    """Return nanoseconds, in Python's whole numbers; years beyond 2262 do not fit those of NumPy."""
    if isinstance(value, np.datetime64) and np.datetime_data(value.dtype)[0] in "YM":
        value = value.astype("M8[D]")
    unit, count = np.datetime_data(value.dtype)
    if unit not in ATTOSECONDS:  # months differ in length
        raise _error(value)
    return int(value.astype(np.int64)) * count * ATTOSECONDS[unit] // ATTOSECONDS["ns"]


def _error(value: Any) -> ValueError:
    return ValueError(f"expected a number or an ISO 8601 date or time ({EXAMPLES}), got {brief(value)}")
