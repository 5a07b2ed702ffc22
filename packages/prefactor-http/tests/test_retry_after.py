"""How long a server asks to wait, read from untrusted headers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefactor_http._transport.retry_after import MAX_WAIT, retry_after, should_retry

NOW = datetime(2026, 4, 13, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "nonsense", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "-1", "retry-after": "9"}, 9.0),
        ({"retry-after": "Mon, 13 Apr 2026 12:00:07 GMT"}, 7.0),
        ({"retry-after": "Mon, 13 Apr 2026 12:00:07 -0000"}, 7.0),
        ({"retry-after": "Mon, 13 Apr 2026 11:59:00 GMT"}, 0.0),
    ],
)
def test_readable_values(headers: dict[str, str], expected: float | None) -> None:
    """Milliseconds win over seconds, and those over a date; a past date means now."""
    assert retry_after(headers, NOW) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-1",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "9" * 400,
        "1_000",
        "+5",
        "1e3",
        "0x10",
        "5.",
        ".5",
        "5 6",
        "infinity",
        "\u0663",
        "\uff15",
        "\u00b2",
        "\u00a05",
        "5\n",
        "Mon, \u0661\u0663 Apr 2026 12:00:07 GMT",
        "soon",
        "Mon, 99 Apr 2026 12:00:07 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 13 Apr 99999999999 12:00:07 GMT",
        "\x00",
    ],
)
def test_a_hostile_value_is_ignored(value: str) -> None:
    """A hostile value counts as missing."""
    assert retry_after({"retry-after": value}, NOW) is None
    assert retry_after({"retry-after-ms": value}, NOW) is None


@given(st.text())
def test_any_text_is_accepted(value: str) -> None:
    """For any header, the result is a wait that a clock can represent, or None."""
    for name in ("retry-after", "retry-after-ms"):
        wait = retry_after({name: value}, NOW)
        assert wait is None or 0 <= wait <= MAX_WAIT


@given(st.integers(0, int(MAX_WAIT)))
def test_dates_count_from_now(seconds: int) -> None:
    """A date in the future is the seconds until then."""
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after({"retry-after": header}, NOW) == seconds


def test_the_clock_is_used_without_an_argument() -> None:
    """Without a time to compare with, a past date still means now."""
    assert retry_after({"retry-after": "Mon, 13 Apr 2020 12:00:07 GMT"}) == 0.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("FALSE", False), (" true ", True), ("", None), ("maybe", None)],
)
def test_should_retry_is_read(value: str, expected: bool | None) -> None:
    """`x-should-retry` is true, false, or ignored."""
    assert should_retry({"x-should-retry": value}) is expected
    assert should_retry({}) is None


@given(
    skew=st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(days=4000)),
    wait=st.integers(0, 3600),
)
def test_a_wrong_clock_does_not_change_the_wait(skew: timedelta, wait: int) -> None:
    """A date is compared with the `Date` of the response, whatever time this machine has."""
    headers = {
        "date": format_datetime(NOW, usegmt=True),
        "retry-after": format_datetime(NOW + timedelta(seconds=wait), usegmt=True),
    }
    assert retry_after(headers, NOW + skew) == wait


@pytest.mark.parametrize("date", ["", "yesterday", "\u0663", "Mon, 99 Apr 2026 12:00:00 GMT"])
def test_an_unreadable_date_of_the_response_is_ignored(date: str) -> None:
    """The clock of this machine counts if the response has no usable date."""
    headers = {"date": date, "retry-after": "Mon, 13 Apr 2026 12:00:07 GMT"}
    assert retry_after(headers, NOW) == 7.0
