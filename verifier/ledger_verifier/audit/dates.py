"""Holds when entries were recorded against when checkpoints that cover them were signed.

Guarantees: an entry that says it was recorded after a checkpoint that holds it had been signed is
found, for every signature that states a time: the log's own to the second, since one clock made
both, and a witness's with WITNESS_SLACK. Of each checkpoint the first such entry is named. This
rests on `recorded_at` not going back, which is checked elsewhere; entries are given in order.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from ledger_verifier.audit.report.build import when
from ledger_verifier.audit.report.model import MAX_FAILURES, Failure, Findings
from ledger_verifier.audit.trust import Trusted
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.errors import EntryError

#: Seconds by which the clock of a witness may be behind the log's.
WITNESS_SLACK: Final = 300

_SECOND: Final = len("YYYY-MM-DDTHH:MM:SS")
#: Later than every instant that there can be.
_NEVER: Final = "9999-99"


@dataclass(frozen=True, slots=True)
class _Bound:
    """What a checkpoint of `size` entries says: none of them was recorded after the second
    `latest`, which `words` names."""

    size: int
    latest: str
    words: str


class Dates:
    """The times stated by these checkpoints of one log. A time of zero states none."""

    def __init__(self, checkpoints: Sequence[Trusted], findings: Findings) -> None:
        self._findings = findings
        self._reported = 0
        self._arrange([_bound(known) for known in checkpoints if known.size > 0])

    def check(self, start: int, entries: Sequence[bytes]) -> None:
        """Look at entries that follow each other, the first of them at `start`."""
        first = bisect_right(self._sizes, start)
        if first == len(self._sizes) or not entries:
            return
        end = start + len(entries)
        last = bisect_right(self._sizes, end)
        # The latest entry under each checkpoint that ends here, and the latest of all.
        late = any(
            _is_later(_recorded(_last(entries, bound.size - start)), bound.latest)
            for bound in self._bounds[first:last]
        )
        if late or _is_later(_recorded(_last(entries, len(entries))), self._tightest[last]):
            for position, raw in enumerate(entries, start):
                self.see(position, _recorded(raw), _stream(raw))

    def see(self, position: int, recorded: str | None, stream: str | None = None) -> None:
        """Look at one entry, which says that it was recorded then."""
        first = bisect_right(self._sizes, position)
        if not _is_later(recorded, self._tightest[first]):
            return
        late = {bound for bound in self._bounds[first:] if _is_later(recorded, bound.latest)}
        for bound in sorted(late, key=lambda bound: (bound.size, bound.latest)):
            reason = f"recorded_at is later than {bound.words}, this one among them"
            failure = Failure(reason, position, stream, "recorded_at")
            self._findings.fail(failure, source="dates")
        self._reported += len(late)
        # Those after it are later still: the first says where it begins.
        rest = [bound for bound in self._bounds if bound not in late]
        self._arrange(rest if self._reported < MAX_FAILURES else [])

    def _arrange(self, bounds: Sequence[_Bound]) -> None:
        self._bounds = sorted(bounds, key=lambda bound: bound.size)
        self._sizes = [bound.size for bound in self._bounds]
        #: For each checkpoint the earliest time that it or a larger one states.
        self._tightest = [_NEVER]
        for bound in reversed(self._bounds):
            self._tightest.append(min(bound.latest, self._tightest[-1]))
        self._tightest.reverse()


def _bound(known: Trusted) -> _Bound:
    """The tightest of what the signatures on a checkpoint say."""
    tightest = _Bound(known.size, _NEVER, "")
    for key, time in known.opened.timestamps.items():
        own = key.name == known.origin
        latest = _instant(time + (0 if own else WITNESS_SLACK)) if time else _NEVER
        if latest < tightest.latest:
            slack = "" if own else f", by more than {WITNESS_SLACK // 60} minutes"
            words = (
                f"{when(time)}{slack}: then {key.name} signed {known.label}, of {known.size} "
                "entries"
            )
            tightest = _Bound(known.size, latest, words)
    return tightest


def _instant(seconds: int) -> str:
    """POSIX seconds as an instant begins; later than all others where no calendar has it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return _NEVER


def _is_later(recorded: str | None, latest: str) -> bool:
    return recorded is not None and recorded[:_SECOND] > latest


def _last(entries: Sequence[bytes], count: int) -> bytes:
    """The last of the first `count` entries that has bytes; what has expired says no time."""
    return next((raw for raw in reversed(entries[:count]) if raw), b"")


def _member(raw: bytes, name: str) -> Any:
    """A member of an entry; None of what is none, which is reported elsewhere."""
    try:
        return orjson.loads(raw)[name]
    except (ValueError, TypeError, KeyError):
        return None


def _recorded(raw: bytes) -> str | None:
    value = _member(raw, "recorded_at")
    return value if type(value) is str else None


def _stream(raw: bytes) -> str | None:
    stream = _member(raw, "stream")
    try:
        return StreamRef.parse(f"{stream['kind']}/{stream['id']}").text
    except (TypeError, KeyError, EntryError):
        return None
