"""The writer's clock: stamps that never decrease, and an alarm when time is wrong.

Guarantees: `stamp` never goes below the last entry's `recorded_at`. A wall clock that runs ahead
of the monotonic clock by more than 60 s since start, or differs so from the database's clock,
raises: one entry stamped years ahead would pin every later stamp to it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from ledger.errors import IntegrityAlarm

MAX_DRIFT_SECONDS: Final = 60.0
#: At start, a clock further than this past the last entry needs the operator's word.
MAX_GAP_SECONDS: Final = 24 * 3600.0


def instant(seconds: float) -> str:
    """POSIX seconds as `YYYY-MM-DDTHH:MM:SS.mmmZ`, truncated to milliseconds."""
    moment = datetime.fromtimestamp(int(seconds * 1000) / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def seconds_of(text: str) -> float:
    """The inverse of `instant`."""
    return datetime.fromisoformat(text).timestamp()


class Clock:
    """A wall clock watched against a monotonic one."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        """POSIX seconds; raises IntegrityAlarm when the wall clock has run ahead."""
        now = self._wall()
        if now - self._monotonic() - self._offset > MAX_DRIFT_SECONDS:
            raise IntegrityAlarm(
                "The wall clock has jumped ahead by more than 60 s. Correct the clock, then start "
                "the service again."
            )
        return now

    def stamp(self, last: str) -> str:
        """The `recorded_at` for now: never below `last`."""
        return max(instant(self.now()), last)

    def check_start(self, last: str, accept: bool) -> None:
        """At start: refuse a clock more than 24 h past the last entry, or more than 60 s before
        it, unless accepted."""
        if accept:
            return
        past = self.now() - seconds_of(last)
        if past > MAX_GAP_SECONDS or past < -MAX_DRIFT_SECONDS:
            where = "24 h past" if past > 0 else "60 s before"
            raise IntegrityAlarm(
                f"The clock is more than {where} the last entry. If the clock is right, start "
                "with --accept-clock: every start needs it until something has been recorded."
            )

    def check_database(self, database_now: float | None) -> None:
        """Refuse to go on when this host's clock is ahead of the database's by more than 60 s."""
        if database_now is not None and self.now() - database_now > MAX_DRIFT_SECONDS:
            raise IntegrityAlarm("The clock is ahead of the database server's by more than 60 s.")
