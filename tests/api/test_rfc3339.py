"""Instants: normalised exactly, refused where RFC 3339 or the service's clock has none such."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rfc3339 import NotAnInstant, latest_allowed, normalise, stamp


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T09:00:00Z", "2026-03-02T09:00:00.000Z"),
        ("2026-03-02t09:00:00z", "2026-03-02T09:00:00.000Z"),
        ("2026-03-02T09:00:00.1Z", "2026-03-02T09:00:00.100Z"),
        ("2026-03-02T09:00:00.9999999999Z", "2026-03-02T09:00:00.999Z"),
        ("2026-07-02T00:30:00+01:00", "2026-07-01T23:30:00.000Z"),
        ("2026-07-02T00:30:00-00:00", "2026-07-02T00:30:00.000Z"),
        ("2026-12-31T23:30:00-08:45", "2027-01-01T08:15:00.000Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000Z"),
    ],
)
def test_good(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-02",
        "2026-03-02T09:00:00",
        "2026-03-02 09:00:00Z",
        "2026-03-02T09:00Z",
        "2026-03-02T9:00:00Z",
        "2026-02-29T09:00:00Z",
        "2026-13-01T09:00:00Z",
        "2026-03-02T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-03-02T09:60:00Z",
        "2026-03-02T09:00:00+0100",
        "2026-03-02T09:00:00+24:00",
        "2026-03-02T09:00:00+01:60",
        "2026-03-02T09:00:00.Z",
        "2026-03-02T09:00:00,5Z",
        "2026-03-02T09:00:00Z\n",
        " 2026-03-02T09:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "２０２６-03-02T09:00:00Z",
        "2026-03-02T09:00:00." + "1" * 31 + "Z",
        "20260302T090000Z",
        "1772442000",
    ],
)
def test_bad(text: str) -> None:
    with pytest.raises(NotAnInstant) as caught:
        normalise(text)
    if len(text) > 4:
        assert text.strip() not in str(caught.value)


@given(
    st.datetimes(datetime(1900, 1, 3), datetime(9998, 1, 1)),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_any_moment_in_any_zone(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    in_utc = aware.astimezone(UTC)
    expected = in_utc.replace(microsecond=in_utc.microsecond // 1000 * 1000)
    assert datetime.fromisoformat(normalise(aware.isoformat())) == expected


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(0, 10**9))
def test_instants_sort_as_text(moment: datetime, later: int) -> None:
    first = moment.replace(tzinfo=UTC)
    assert stamp(first) <= stamp(first + timedelta(microseconds=later))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "1900-01-01T00:30:00+01:00"])
def test_what_cannot_have_happened_in_a_record_is_refused(text: str) -> None:
    with pytest.raises(NotAnInstant, match="1900"):
        normalise(text)


def test_the_latest_allowed_is_five_minutes_ahead() -> None:
    assert latest_allowed(datetime(2026, 3, 2, 23, 58, tzinfo=UTC)) == "2026-03-03T00:03:00.000Z"
