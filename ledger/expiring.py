"""Expiring: finds the streams that are due, and prepares their removal for the writer.

Guarantees: a plan holds whole streams alone, each as it was at the version it names, and never one
that `retention` says is not due; an access stream is in it only when what it tells of has expired
or is in it too. The writer looks again under the head lock, and refuses a plan that the log has
outrun. The staff references of the organisation are in it where `staff_due` says so. Nothing here
removes anything.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger.database import database_errors
from ledger.errors import NoPolicy, VaultUnavailable
from ledger.retention import KINDS, POLICY, Periods, Waits, periods_in_force, why_not
from ledger.staff_due import staff_due
from ledger.store.base import Store
from ledger.store.erased import select_erased_keys
from ledger.store.expiry import last_entries, positions_of, streams_of, true_sources
from ledger.store.records import Doomed, DoomedId, ExpiryPlan, StreamHead
from ledger.store.rows import Rows, chunks, find_duplicates, select_stream_heads
from ledger.tombstones import Tombstones, mark_of_id, mark_of_stream
from ledger.vault.erasure import check_own
from ledger.vault.keystore import KeyStore
from ledger_verifier.formats import entry as entries

#: Entries that one order removes at most, and streams: it is one transaction under the head lock.
MAX_ENTRIES: Final = 5_000
MAX_STREAMS: Final = 500
#: Streams read together.
_PAGE: Final = 200
_LONDON: Final = ZoneInfo("Europe/London")
_TOLD_OF: Final = tuple(sorted(entries.STREAM_KINDS - {"access"}))


@dataclass(frozen=True, slots=True)
class Due:
    """What is due: for each kind how many streams, and how many wait for which reason. `entries`
    counts those of the streams that are due."""

    due: Mapping[str, int]
    waiting: Mapping[str, Mapping[str, int]]
    entries: int

    def to_json(self) -> dict[str, Any]:
        """Counts alone, by kind."""
        return {
            "entries": self.entries,
            "kinds": {
                kind: {"due": self.due.get(kind, 0), "waiting": dict(self.waiting.get(kind, {}))}
                for kind in KINDS
            },
        }


@dataclass(slots=True)
class _Found:
    """What a look at the streams of one hub and organisation has come to."""

    due: dict[str, tuple[StreamHead, Sequence[Mapping[str, Any]]]] = field(default_factory=dict)
    waiting: dict[str, Counter[str]] = field(default_factory=dict)
    entries: int = 0

    def is_full(self, more: int) -> bool:
        """Whether a stream of so many entries more is for the next order."""
        over = self.entries + more > MAX_ENTRIES
        return len(self.due) >= MAX_STREAMS or bool(self.due and over)

    def wait(self, kind: str, why: Waits) -> None:
        self.waiting.setdefault(kind, Counter())[why.value] += 1


class Expirer:
    """Looks for what is due in one ledger. Methods block; any thread may call them."""

    def __init__(self, store: Store, keys: KeyStore, tombstones: Tombstones) -> None:
        self._store, self._keys, self._tombstones = store, keys, tombstones

    def now(self) -> datetime:
        """The time that periods end by."""
        return datetime.now(UTC)

    def due(self, hub: str, organisation: str) -> Due:
        """What of a hub and organisation is due; raises NoPolicy or KeyNotAtHand."""
        found = self._look(hub, organisation, bounded=False)
        counted = Counter(stream.partition("/")[0] for stream in found.due)
        return Due(counted, found.waiting, found.entries)

    def plan(self, hub: str, organisation: str, touched: Collection[str] = ()) -> ExpiryPlan | None:
        """What an order removes now, as far as one transaction goes, but for the streams that are
        `touched` along with it; None when nothing is due. Raises NoPolicy, KeyNotAtHand,
        VaultUnavailable or IntegrityAlarm."""
        head = self._store.head()
        # Before anything is looked at: what is recorded meanwhile makes the writer refuse.
        size = 0 if head is None else head.size
        found = self._look(hub, organisation, bounded=True, touched=touched)
        if not found.due:
            return None
        key_id, key = self._tombstones.key()
        streams = sorted(found.due)
        with self._store.read() as rows:
            positions = positions_of(rows, self._store.position_sql, streams)
            sources = true_sources(rows)
            erased = select_erased_keys(rows, streams)
            doomed = []
            for stream in streams:
                stream_head, decoded = found.due[stream]
                if len(positions.get(stream, ())) != len(decoded):
                    # It has gone on meanwhile, and is not due any more.
                    continue
                ids = list(zip(positions[stream], (e["id"] for e in decoded), strict=True))
                doomed.append(
                    Doomed(
                        stream,
                        stream_head.version,
                        # A staff reference is of another hub than the order.
                        stream_head.hub,
                        organisation,
                        mark_of_stream(key, stream),
                        tuple(_entries(rows, sources, ids, key)),
                        tuple(sorted(erased.get(stream, ()))),
                    )
                )
        return ExpiryPlan(size, key_id, self._with_keys(doomed)) if doomed else None

    def _with_keys(self, doomed: Sequence[Doomed]) -> tuple[Doomed, ...]:
        """The same with the ids of the keys that the key store has for them, beside those that
        erasures name; raises IntegrityAlarm when one of these is the key of another stream."""
        streams = [one.stream for one in doomed]
        try:
            held = self._keys.ids_of(streams)
            check_own(self._keys, [key_id for one in doomed for key_id in one.key_ids], streams)
        except database_errors() as error:
            raise VaultUnavailable("The key store does not answer. Try again later.") from error
        return tuple(
            replace(one, key_ids=tuple(sorted({*one.key_ids, *held.get(one.stream, ())})))
            for one in doomed
        )

    def _look(
        self, hub: str, organisation: str, *, bounded: bool, touched: Collection[str] = ()
    ) -> _Found:
        now = self.now()
        policies = self._policies()
        periods = self._periods(policies, hub, organisation, now)
        found = _Found()
        streams = self._streams(hub)
        for kind in KINDS:
            cutoff = periods.cutoff(kind, now)
            for stream, head, decoded in self._old(streams.get(kind, ()), cutoff):
                if stream in touched or (kind != "access" and head.organisation != organisation):
                    continue
                why = why_not(kind, decoded, cutoff)
                if kind == "access" and why is None:
                    why, own = self._told_of(stream, organisation, found)
                    if not own:
                        continue
                if why is not None:
                    found.wait(kind, why)
                    continue
                if bounded and found.is_full(len(decoded)):
                    continue
                found.due[stream] = (head, decoded)
                found.entries += len(decoded)
        going = frozenset(found.due)
        for one in staff_due(self._store, policies, organisation, going, now):
            if one.waits is not None:
                found.wait("access", one.waits)
            elif one.stream not in touched and not (bounded and found.is_full(len(one.entries))):
                found.due[one.stream] = (one.head, one.entries)
                found.entries += len(one.entries)
        return found

    def _policies(self) -> list[Mapping[str, Any]]:
        policies: list[Mapping[str, Any]] = []
        start = 0
        while page := self._store.entries(start, 1000, [POLICY]):
            policies += [entries.decode(one.raw) for one in page]
            start = page[-1].position + 1
        return policies

    @staticmethod
    def _periods(
        policies: Sequence[Mapping[str, Any]], hub: str, organisation: str, now: datetime
    ) -> Periods:
        today = now.astimezone(_LONDON).date().isoformat()
        periods = periods_in_force(policies, hub, organisation, today)
        if periods is None:
            raise NoPolicy(
                "No policy for the retention of the log is in force for this hub and organisation. "
                "Record policy.adopted first."
            )
        return periods

    def _told_of(self, stream: str, organisation: str, found: _Found) -> tuple[Waits | None, bool]:
        """Why an access stream does not expire with what it tells of, if it does not; and whether
        that is this organisation's."""
        told = [f"{kind}/{stream.partition('/')[2]}" for kind in _TOLD_OF]
        live = self._store.stream_heads(told)
        if live:
            own = any(head.organisation == organisation for head in live.values())
            going = all(name in found.due for name in live)
            return (None if going else Waits.STILL_TOLD_OF), own
        gone = self._tombstones.look((), told).streams.values()
        return None, any(of == organisation for _, of in gone)

    def _streams(self, hub: str) -> dict[str, list[str]]:
        """The streams that belong to a hub, by kind."""
        found: dict[str, list[str]] = {}
        with self._store.read() as rows:
            for stream in streams_of(rows, hub):
                found.setdefault(stream.partition("/")[0], []).append(stream)
        return found

    def _old(
        self, streams: Sequence[str], cutoff: str | None
    ) -> Iterator[tuple[str, StreamHead, list[Mapping[str, Any]]]]:
        """Streams with their heads and decoded entries: all of them where the last was recorded
        before the cutoff, else that one alone, which settles it."""
        for page in chunks(streams, _PAGE):
            with self._store.read() as rows:
                heads = select_stream_heads(rows, page)
                last = last_entries(rows, page)
            for stream in page:
                if stream not in heads or stream not in last:
                    continue
                decoded: list[Mapping[str, Any]] = [entries.decode(last[stream])]
                if cutoff is not None and decoded[0]["recorded_at"] < cutoff:
                    decoded = [entries.decode(one.raw) for one in self._store.stream(stream)]
                yield stream, heads[stream], decoded


def _entries(
    rows: Rows, sources: Sequence[str], ids: Sequence[tuple[int, str]], key: bytes
) -> Iterator[DoomedId]:
    """The entries of a stream, each with its true source, which a recipient's does not tell."""
    wanted = dict(ids)
    for chunk in chunks(ids):
        keys = [(source, event_id) for _, event_id in chunk for source in sources]
        for (source, event_id), position in find_duplicates(rows, keys).items():
            if wanted.get(position) == event_id:
                mark = mark_of_id(key, source, event_id)
                yield DoomedId(source, event_id, position, mark)
