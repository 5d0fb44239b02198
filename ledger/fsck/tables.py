"""Tables beside the log: each row must be what the log says it is, and none may be left over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.fsck.expiries import ExpiryChecker
from ledger.fsck.losses import Losses
from ledger.fsck.reader import SnapshotReader
from ledger.fsck.sealed import SealedChecker
from ledger.fsck.staff import StaffChecker
from ledger.store.expiry import NO_STREAM
from ledger.store.records import EVENTS_TABLE, StreamHead
from ledger.store.rows import Rows, find_duplicates, select_stream_heads
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.formats.entry import link_hash
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import CompactRange
from ledger_verifier.meaning.expiry import STREAM_EXPIRED
from ledger_verifier.meaning.schemas import LEDGER_OPENED, SCHEMA_REGISTERED, SEALED_LOST

#: Entries looked up together.
_GROUP = 256


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream as the log has it: hub and organisation of its first entry, and its last entry."""

    owner: tuple[str, str]
    version: int
    link: bytes
    position: int


class TableChecker:
    """Looks on while the engine verifies the log (`Observer`)."""

    def __init__(
        self,
        rows: Rows,
        reader: SnapshotReader,
        sealed: SealedChecker,
        losses: Losses,
        staff: StaffChecker,
        expiries: ExpiryChecker,
        findings: Findings,
    ) -> None:
        self._rows, self._reader, self._sealed, self._staff = rows, reader, sealed, staff
        self._losses, self._findings = losses, findings
        self.expiries = expiries
        self._group: dict[int, Mapping[str, Any]] = {}
        self._streams: dict[str, _Stream] = {}
        self._recipient: set[tuple[str, int]] = set()
        #: The verifier keys that entry 0 names; None when it is not there to be believed.
        self.log_keys: frozenset[str] | None = None
        self._recorded_at = ""
        self._next = 0
        self._known_from = 0

    def entry(self, position: int, raw: bytes, entry: Mapping[str, Any], accepted: bool) -> None:
        """Hold one entry against the columns beside it, and gather it for the rest."""
        stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
        columns = self._reader.columns.get(position)
        if columns is not None:
            beside = (columns.stream, columns.version, columns.type)
            if beside != (stream, entry["stream"]["version"], entry["type"]):
                self._fail(
                    "the columns beside its bytes name another stream, version or type",
                    position,
                    stream,
                )
        if position != self._next and not self.expiries.explains(self._next, position):
            # What was left out may have been of any stream: ends from before are not known.
            self._known_from = position
        self._next = position + 1
        known = self._streams.get(stream)
        owner = (entry["hub"], entry["organisation"]) if known is None else known.owner
        self._streams[stream] = _Stream(owner, entry["stream"]["version"], link_hash(raw), position)
        if accepted:
            self._learn(position, entry)
        self._recorded_at = entry["recorded_at"]
        self._group[position] = entry
        if len(self._group) >= _GROUP:
            self._check_group()

    def _learn(self, position: int, entry: Mapping[str, Any]) -> None:
        """Take in what an entry says about others. What the verifier did not accept says nothing,
        and may lack any member."""
        data = entry["data"]
        if entry["type"] == LEDGER_OPENED:
            self.log_keys = frozenset(data["keys"])
        elif entry["type"] == SCHEMA_REGISTERED:
            self._sealed.learn_type(data)
            if data["recipient"]:
                self._recipient.add((data["type"], data["schema"]))
        elif entry["type"] == SEALED_LOST:
            self._losses.learn(position, data)
        elif entry["type"] == STREAM_EXPIRED:
            self.expiries.learn(position, data)
        else:
            self._sealed.learn_erasure(position, entry)
            self._staff.learn(position, entry)

    def _check_group(self) -> None:
        group, self._group = self._group, {}
        true_sources = self._sealed.check(group)
        keys = {}
        for position, entry in group.items():
            if (entry["type"], entry["schema"]) not in self._recipient:
                keys[(entry["source"], entry["id"])] = position
            elif position in true_sources:
                keys[(true_sources[position], entry["id"])] = position
        found = find_duplicates(self._rows, list(keys))
        for key, position in keys.items():
            if found.get(key) != position:
                self._fail(
                    "the table of ids does not lead to it: a retry would record it twice",
                    position,
                    None,
                )

    def end(self, heads: object) -> None:
        """Hold the stream heads against the ends of the streams."""
        self._check_group()
        names = sorted(self._streams)
        for start in range(0, len(names), _GROUP):
            group = names[start : start + _GROUP]
            stored = select_stream_heads(self._rows, group)
            for stream in group:
                if self._streams[stream].position >= self._known_from:
                    self._check_head(stream, self._streams[stream], stored.get(stream))
        self._findings.counts["stream heads"] = len(names)
        self._sealed.end()

    def _check_head(self, stream: str, end: _Stream, stored: StreamHead | None) -> None:
        if stored is None or (stored.version, stored.link) != (end.version, end.link):
            self._fail("the stream's stored head is not its last entry", end.position, stream)
        elif (stored.hub, stored.organisation) != end.owner:
            reason = "the stream's stored head names another hub or organisation"
            self._fail(reason, end.position, stream)
        elif (stored.subject_key, stored.attribution_key) != self._sealed.current_keys(stream):
            reason = "the stream's stored head names other keys than it uses"
            self._fail(reason, end.position, stream)

    def check_totals(self) -> None:
        """Nothing is left over: no row beyond the head, none that belongs to no entry."""
        head = self._reader.head
        if head is None:
            return
        self._check_edge(head.size, head.edge, head.root)
        self._count("head", 1, "heads")
        self._count("head WHERE one = 1", 1, "heads numbered 1")
        if head.recorded_at != self._recorded_at:
            self._fail("the head row's time is not that of the last entry", None, None)
        cells = sum(head.size >> (8 * level) for level in range(8))
        held = head.size - self.expiries.entries
        self._count(EVENTS_TABLE, held, "entries")
        self._count("cells", cells, "cells of the tree")
        self._count("duplicates", held, "rows in the table of ids")
        self._count("stream_heads", len(self._streams), "stream heads")
        self._rows.execute(
            "SELECT position FROM sealed WHERE position < 0 OR position >= ?"
            f" ORDER BY position LIMIT {_GROUP}",
            (head.size,),
        )
        for row in self._rows.fetchall():
            self._fail("a sealed row belongs to no entry", row[0], None)
        self._check_destroyed()
        self.expiries.check()

    def _check_destroyed(self) -> None:
        # Those of streams that expired are named by no entry that is left.
        self._rows.execute(
            "SELECT key_id, stream, position FROM destroyed_keys WHERE stream <> ?", (NO_STREAM,)
        )
        stored = {bytes(row[0]).hex(): (row[1], row[2]) for row in self._rows.fetchall()}
        erasures = self._sealed.erasures.keys
        named = {key.replace("-", ""): place for key, place in erasures.items()}
        for key in sorted(stored.keys() | named.keys()):
            if stored.get(key) != named.get(key):
                stream, position = named.get(key) or stored[key]
                reason = "the table of destroyed keys is not what the erasures name"
                self._fail(reason, position, stream)

    def _check_edge(self, size: int, edge: tuple[bytes, ...], root: bytes) -> None:
        try:
            rebuilt = CompactRange(size, edge).root()
        except FormatError:
            rebuilt = b""
        if rebuilt != root:
            self._fail("the stored right edge of the tree does not give its root", None, None)

    def _count(self, table: str, wanted: int, what: str) -> None:
        self._rows.execute(f"SELECT COUNT(*) FROM {table}")
        found = self._rows.fetchone()[0]
        if found != wanted:
            self._fail(f"there are {found} {what} where the log has {wanted}", None, None)

    def _fail(self, reason: str, position: int | None, stream: str | None) -> None:
        self._findings.fail(Failure(reason, position=position, stream=stream), source="tables")
