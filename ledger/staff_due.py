"""Which staff references are due to expire, with the row of the staff map that each has.

Guarantees: a reference is due only when it has come to its end, and nothing was said of it since,
for longer than any policy of its organisation keeps any kind of stream; and when, in the hubs where
the organisation has a stream or a policy, no stream is left, of whichever organisation, that is of
a kind which policies speak for and began before that end: nothing there can name it any more.
Registers, `hub`, `oversight` and `ledger` streams, and who looked at these, are kept for good, and
keep no reference. Nothing here removes anything.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger.retention import KINDS, Waits, periods_in_force
from ledger.store.base import Store
from ledger.store.expiry import first_positions, hubs_of, last_entries, streams_begun_with
from ledger.store.records import StreamHead
from ledger.store.rows import chunks, select_stream_heads
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import CENTRAL_HUB

REGISTERED: Final = "staff.registered"
_LONDON: Final = ZoneInfo("Europe/London")
#: What is kept for good; who looked at it is kept with it.
_KEPT: Final = tuple(sorted(entries.STREAM_KINDS - set(KINDS)))


@dataclass(frozen=True, slots=True)
class Ended:
    """A reference's stream, why it waits, if it does, and otherwise its entries."""

    stream: str
    head: StreamHead
    waits: Waits | None
    entries: Sequence[Mapping[str, Any]] = ()


def staff_due(
    store: Store,
    policies: Sequence[Mapping[str, Any]],
    organisation: str,
    going: Collection[str],
    now: datetime,
) -> Iterator[Ended]:
    """Every reference of an organisation: whether it is due once the streams in `going` have gone.
    `policies` are decoded `policy.adopted` entries in log order."""
    today = now.astimezone(_LONDON).date()
    hubs = {str(one["hub"]) for one in policies if one["organisation"] == organisation}
    longest = _longest(policies, hubs, organisation, today)
    with store.read() as rows:
        found = dict(streams_begun_with(rows, REGISTERED, CENTRAL_HUB, organisation))
    oldest = _Oldest(store, hubs, organisation, {*going, *found})
    for page in chunks(sorted(found)):
        with store.read() as rows:
            heads, last = select_stream_heads(rows, page), last_entries(rows, page)
        for stream in page:
            if stream not in heads or stream not in last:
                # It has expired since it was looked for.
                continue
            until = date.fromisoformat(entries.decode(found[stream])["data"]["until"])
            why = _too_young(max(until, _day_of(last[stream])), longest, today)
            if why is None and oldest.began <= until:
                why = Waits.STILL_TOLD_OF
            if why is not None:
                yield Ended(stream, heads[stream], why)
                continue
            decoded = [entries.decode(one.raw) for one in store.stream(stream)]
            yield Ended(stream, heads[stream], None, decoded)


def _longest(
    policies: Sequence[Mapping[str, Any]], hubs: Collection[str], organisation: str, today: date
) -> int | None:
    """The longest period of any kind in the organisation's policies that are in force; None when
    there is none."""
    days: list[int] = []
    for hub in hubs:
        periods = periods_in_force(policies, hub, organisation, today.isoformat())
        days += [] if periods is None else periods.days.values()
    return max(days, default=None)


def _too_young(end: date, longest: int | None, today: date) -> Waits | None:
    if longest is None:
        return Waits.NO_PERIOD
    return Waits.TOO_YOUNG if (today - end).days <= longest else None


def _day_of(raw: bytes) -> date:
    recorded = datetime.fromisoformat(entries.decode(raw)["recorded_at"])
    return recorded.astimezone(_LONDON).date()


class _Oldest:
    """The oldest of the streams that may name an organisation's staff, looked for when asked."""

    def __init__(
        self, store: Store, hubs: Collection[str], organisation: str, but: Collection[str]
    ) -> None:
        self._store, self._hubs, self._organisation = store, hubs, organisation
        self._but = but

    @cached_property
    def began(self) -> date:
        """The day on which the oldest began that is left in the organisation's hubs and will expire
        some day; the last day of all when there is none."""
        with self._store.read() as rows:
            hubs = {*self._hubs, *hubs_of(rows, self._organisation, self._but)}
            found = first_positions(rows, self._store.position_sql, hubs)
        left = [one for one in found if one[1] not in self._but and _kind(one[1]) in KINDS]
        for page in chunks(left):
            kept = self._kept([stream for _, stream in page])
            for position, stream in page:
                raw = None if stream in kept else self._store.entry(position)
                # Another organisation's references name nobody but themselves.
                if raw is not None and entries.decode(raw)["type"] != REGISTERED:
                    return _day_of(raw)
        return date.max

    def _kept(self, streams: Sequence[str]) -> set[str]:
        """Those of the streams that tell who looked at what is kept for good."""
        told = {
            f"{kind}/{stream.partition('/')[2]}": stream
            for stream in streams
            if _kind(stream) == "access"
            for kind in _KEPT
        }
        return {told[name] for name in self._store.stream_heads(told)}


def _kind(stream: str) -> str:
    return stream.partition("/")[0]
