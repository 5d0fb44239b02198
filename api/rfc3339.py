"""Instants as CloudEvents writes them (RFC 3339) and as entries hold them (UTC, milliseconds).

Guarantees: `normalise` accepts a date and time with an offset, in either letter case of T and Z,
and returns the same instant as `YYYY-MM-DDTHH:MM:SS.mmmZ`, further digits cut off, never rounded.
A time without an offset, a day or an hour that does not exist, 24:00 and a leap second (`:60`,
which no UTC clock of this service can stamp) are refused.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

#: How far ahead of this service's clock an event may claim to have happened.
MAX_AHEAD: Final = timedelta(minutes=5)

_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)


#: Nothing that is recorded here happened before; and a time zone can be applied to any date after.
EARLIEST_YEAR: Final = 1900


class NotAnInstant(ValueError):
    """The text is not an RFC 3339 instant; the message says why, without the text."""


def normalise(text: str) -> str:
    """The instant in UTC, cut to milliseconds; raises NotAnInstant."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise NotAnInstant("an RFC 3339 date and time with an offset, such as Z or +01:00")
    *fields, fraction, sign, hours, minutes = match.groups()
    if fields[5] == "60":
        raise NotAnInstant("a leap second is not taken: send the second before or after it")
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    zone = timezone(-offset if sign == "-" else offset)
    year, month, day, hour, minute, second = map(int, fields)
    milliseconds = int(((fraction or "") + "000")[:3])
    try:
        local = datetime(year, month, day, hour, minute, second, milliseconds * 1000, zone)
        moment = local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotAnInstant("a date and time that exist") from None
    if moment.year < EARLIEST_YEAR:
        raise NotAnInstant(f"a date and time from {EARLIEST_YEAR} on")
    return stamp(moment)


def stamp(moment: datetime) -> str:
    """An aware datetime as entries hold it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def latest_allowed(now: datetime) -> str:
    """The latest instant that an event recorded now may claim. Instants of this one fixed shape
    sort as text."""
    return stamp(now + MAX_AHEAD)
