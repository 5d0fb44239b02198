"""Tables beside the log: each row must be what the log says it is, and none may be left over."""

from collections.abc import Mapping
from typing import Any

from ledger.fsck.reader import SnapshotReader
from ledger.fsck.sealed import ERASURE, SealedChecker
from ledger.store.records import EVENTS_TABLE, StreamHead
from ledger.store.rows import Rows, find_duplicates, select_stream_heads
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import CompactRange
from ledger_verifier.meaning.schemas import SCHEMA_REGISTERED

#: Entries looked up together.
_GROUP = 256


class TableChecker:
    """Looks on while the engine verifies the log (`Observer`)."""

    def __init__(
        self, rows: Rows, reader: SnapshotReader, sealed: SealedChecker, findings: Findings
    ) -> None:
        self._rows, self._reader, self._sealed = rows, reader, sealed
        self._findings = findings
        self._group: dict[int, Mapping[str, Any]] = {}
        self._hubs: dict[str, str] = {}
        self._recipient: set[tuple[str, int]] = set()
        self._destroyed: dict[str, int] = {}
        self._entries = 0

    def entry(self, position: int, raw: bytes, entry: Mapping[str, Any]) -> None:
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
        self._hubs.setdefault(stream, entry["hub"])
        data = entry["data"]
        if entry["type"] == SCHEMA_REGISTERED and data["recipient"]:
            self._recipient.add((data["type"], data["schema"]))
        if entry["type"] == ERASURE:
            self._destroyed.update(dict.fromkeys(data["key_ids"], position))
        self._sealed.learn(entry)
        self._entries += 1
        self._group[position] = entry
        if len(self._group) >= _GROUP:
            self._check_group()

    def _check_group(self) -> None:
        group, self._group = self._group, {}
        self._sealed.check(group)
        # A recipient's true source is sealed; its row is covered by the count at the end.
        keys = {
            (entry["source"], entry["id"]): position
            for position, entry in group.items()
            if (entry["type"], entry["schema"]) not in self._recipient
        }
        found = find_duplicates(self._rows, list(keys))
        for key, position in keys.items():
            if found.get(key) != position:
                self._fail(
                    "the table of ids does not lead to it: a retry would record it twice",
                    position,
                    None,
                )

    def end(self, heads: Mapping[str, tuple[int, bytes, int]]) -> None:
        """Hold the stream heads against the ends of the streams."""
        self._check_group()
        names = sorted(heads)
        for start in range(0, len(names), _GROUP):
            group = names[start : start + _GROUP]
            stored = select_stream_heads(self._rows, group)
            for stream in group:
                self._check_head(stream, heads[stream], stored.get(stream))
        self._findings.counts["stream heads"] = len(names)
        self._sealed.end()

    def _check_head(
        self, stream: str, end: tuple[int, bytes, int], stored: StreamHead | None
    ) -> None:
        version, link, position = end
        if stored is None or (stored.version, stored.link) != (version, link):
            self._fail("the stream's stored head is not its last entry", position, stream)
        elif stored.hub != self._hubs.get(stream):
            self._fail("the stream's stored head names another hub", position, stream)

    def check_totals(self) -> None:
        """Nothing is left over: no row beyond the head, none that belongs to no entry."""
        head = self._reader.head
        if head is None:
            return
        self._check_edge(head.size, head.edge, head.root)
        cells = sum(head.size >> (8 * level) for level in range(8))
        self._count(EVENTS_TABLE, head.size, "entries")
        self._count("cells", cells, "cells of the tree")
        self._count("duplicates", head.size, "rows in the table of ids")
        self._count("stream_heads", len(self._hubs), "stream heads")
        self._rows.execute("SELECT COUNT(*) FROM sealed WHERE position >= ?", (head.size,))
        if self._rows.fetchone()[0]:
            self._fail("there are sealed rows beyond the head", None, None)
        self._rows.execute("SELECT key_id, position FROM destroyed_keys")
        stored = {bytes(row[0]).hex(): row[1] for row in self._rows.fetchall()}
        if stored != {key.replace("-", ""): at for key, at in self._destroyed.items()}:
            self._fail("the table of destroyed keys is not what the erasures name", None, None)

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
