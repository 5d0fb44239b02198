"""Checks the entries of a log, in order: what each says of itself, its type and its stream.

Guarantees, for every entry checked without a failure: its bytes are canonical and its values of
the allowed types; its type was registered before it and it has that shape; it is the next version
of its stream and names the entry before it by its link hash; `recorded_at` is not before that of
the entry before it; entry 0, and no other, is `ledger.opened`, with this log's origin and the key
that signed the checkpoint. Memory is proportional to the number of streams, and at most two bits
for each position of the log (see `expiry`).

Entries may have no bytes, where a later entry says that they have expired. Whole streams expire, so
where a stream goes on after that its chain must be whole all the same (see `expiry`).

`take` accepts a summary of entries (see `bulk`) where everything goes on as it should. `check` goes
through entries one by one and says what is wrong; whatever `take` does not accept is for it.

Follows docs/formats.md, "The entry".
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson

from ledger_verifier.audit.bulk import Summary
from ledger_verifier.audit.expiry import Expiries
from ledger_verifier.audit.heads import Head, Heads
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.audit.unique import Duplicates
from ledger_verifier.formats.entry import StreamRef, decode, link_hash
from ledger_verifier.formats.errors import EntryError, UnknownFormatError
from ledger_verifier.meaning.assurance import Assurance
from ledger_verifier.meaning.expiry import STREAM_EXPIRED
from ledger_verifier.meaning.schemas import (
    LEDGER_OPENED,
    RESERVED_TYPES,
    SCHEMA_REGISTERED,
    SEALED_LOST,
    Registry,
    parse_lost,
)
from ledger_verifier.meaning.succession import parse_predecessor

ID_KEY: Final = 0
DIGEST_KEY: Final = 1

_FIELD = re.compile(r"(?:missing member )?(data\.\w+|stream\.\w+|[a-z_]+)(?=[: ]|$)")
_MEMBERS: Final = frozenset(
    {
        "_sd_alg",
        "actor",
        "data",
        "format",
        "hub",
        "id",
        "nonce",
        "occurred_at",
        "organisation",
        "recorded_at",
        "regime",
        "schema",
        "source",
        "stream",
        "submitted_by",
        "type",
    }
)


class Observer(Protocol):
    """Looks on while a log is verified; for checks that are not the verifier's, such as the
    service's own tables held against its log."""

    def entry(self, position: int, raw: bytes, entry: Mapping[str, Any], accepted: bool) -> None:
        """Called for every entry that could be decoded; `accepted` when it has the shape that its
        type is registered with. The members of `data` can be relied on only then."""

    def end(self, heads: Mapping[str, tuple[int, bytes, int]]) -> None:
        """Called once after the last entry, with every stream's version, link hash, position."""


class EntryChecker:
    """The checks above over entries given in order. `log_keys` are the verifier keys, as text,
    that signed the checkpoint under the log's own name. Streams of the kind `sparse` may be given
    in part: versions may be left out, but not repeated or turned round."""

    def __init__(
        self,
        findings: Findings,
        origin: str,
        log_keys: Collection[str],
        duplicates: Duplicates | None = None,
        observer: Observer | None = None,
        sparse: str | None = None,
    ) -> None:
        self._findings = findings
        self._origin = origin
        self._log_keys = log_keys
        self._duplicates = duplicates
        self._observer = observer
        self._sparse = sparse
        self._recipients: set[tuple[str, int]] = set()
        self._others: dict[str, Head] = {}
        self._next = 0
        # The stream of entry 0; None where that was not given.
        self._ledger: str | None = None
        # Entries may be missing before this position: heads from before it may not be the last.
        self._known_from = 0
        self.expiries = Expiries(findings)
        self.recorded = ("", 0)
        self.registry = Registry()
        self.heads = Heads()
        #: Entries of the reserved types: what defines the log, and what was lost of it.
        self.definitions: list[tuple[int, bytes]] = []
        #: Entries of the registers that tell whether the ledger's own processing is covered.
        self.assuring: list[tuple[int, bytes]] = []
        self.assurance = Assurance()
        self.recipient_entries = 0

    @property
    def streams(self) -> int:
        """Number of streams met."""
        return len(self.heads)

    @property
    def kept(self) -> tuple[tuple[int, bytes], ...]:
        """What a later run takes in again, in the order of the log."""
        return tuple(sorted([*self.definitions, *self.assuring]))

    def gap(self) -> None:
        """Entries were left out here: streams may continue at a later version than is known."""
        self._known_from = max(1, self._next)

    def resume(
        self,
        size: int,
        heads: Heads,
        recorded: tuple[str, int],
        definitions: Sequence[tuple[int, bytes]],
    ) -> None:
        """Go on after `size` entries that an earlier run has checked. Its definitions are taken in
        again, since they may not suit the keys that sign today, and so is what else it `kept`.
        Raises EntryError."""
        for position, raw in definitions:
            entry = decode(raw)
            self.registry.check(entry)
            if entry["type"] in RESERVED_TYPES or position == 0:
                self._ledger_entry(position, raw, entry)
            else:
                self._assure(position, raw, entry)
        self.heads, self.recorded, self._next = heads, recorded, size

    def take(self, summary: Summary) -> bool:
        """Accept entries that were summarised; False, and nothing is changed, unless they go on
        where those before them ended."""
        if summary.first_recorded < self.recorded[0] or self._next == 0:
            return False
        find, known_from, new = self.heads.get, self._known_from, 0
        for stream, (version, previous) in summary.firsts.items():
            head = find(stream)
            if head is None:
                if version != 1:
                    return False
                new += 1
            elif version != head[0] + 1 or previous != head[1] or head[2] < known_from:
                return False
        self.heads.put(summary.lasts, new)
        self.recorded = (summary.last_recorded, summary.last_position)
        self._next = summary.last_position + 1
        return True

    def check(self, start: int, entries: Sequence[bytes]) -> None:
        """Check entries that follow those checked before, the first of them at `start`."""
        for position, raw in enumerate(entries, start):
            self._next = position + 1
            if not raw:
                self.expiries.absent(position)
                continue
            try:
                entry = decode(raw)
            except EntryError as error:
                self._undecodable(position, raw, error)
                continue
            accepted = True
            try:
                self.registry.check(entry)
            except EntryError as error:
                accepted = False
                self._fail(position, entry, str(error))
            if entry["type"] in RESERVED_TYPES or position == 0:
                accepted = self._ledger_entry(position, raw, entry) and accepted
            if accepted and entry["type"] == STREAM_EXPIRED:
                accepted = self._expired(position, entry)
            if accepted:
                self._assure(position, raw, entry)
            self._chain(position, raw, entry)
            recorded = entry["recorded_at"]
            if recorded < self.recorded[0]:
                self._decreased(position, entry)
            self.recorded = (recorded, position)
            if self._duplicates is not None:
                self._collect(self._duplicates, position, entry)
            if self._observer is not None:
                self._observer.entry(position, raw, entry, accepted)

    def _chain(self, position: int, raw: bytes, entry: Mapping[str, Any]) -> None:
        stream = entry["stream"]
        key = f"{stream['kind']}/{stream['id']}"
        version = stream["version"]
        head = self.heads.get(key.encode())
        if head is None or head[2] < self._known_from:
            if head is not None or version != 1:
                self._resumed(position, entry, key, head)
        elif version != head[0] + 1 or stream["previous"] != head[1].hex():
            self._broken(position, key, stream, head)
        last = (version, link_hash(raw), position)
        self.heads.put({key.encode(): last}, new=head is None)

    def _fail(self, position: int, entry: Mapping[str, Any], reason: str) -> None:
        stream = entry["stream"]
        failure = Failure(reason, position, f"{stream['kind']}/{stream['id']}", field_of(reason))
        self._findings.fail(failure, source="entries")

    def _undecodable(self, position: int, raw: bytes, error: EntryError) -> None:
        """An entry of an unknown format, or malformed. Its stream goes on without it, so no later
        break there is held against the log a second time."""
        stream = stream_of(raw)
        if isinstance(error, UnknownFormatError):
            self._findings.counts["unknown_format"] += 1
            if self._findings.counts["unknown_format"] == 1:
                self._findings.lack(
                    "entries are of a format that this verifier does not know, the first at "
                    f"position {position}: a newer verifier is needed"
                )
        else:
            failure = Failure(str(error), position, stream, field_of(str(error)))
            self._findings.fail(failure, source="entries")
        self.gap()

    def _resumed(
        self, position: int, entry: Mapping[str, Any], key: str, before: Head | None
    ) -> None:
        """A stream that is not known to be at the version before this one; `before` is its last
        entry before a gap."""
        version = entry["stream"]["version"]
        if before is not None and version <= before[0]:
            reason = f"version {version} follows version {before[0]} of this stream"
            failure = Failure(reason, position, key, "stream.version")
            self.expiries.suspect(failure, "entries")
        elif before is None and not self._known_from and entry["stream"]["kind"] != self._sparse:
            reason = f"the first entry of this stream has version {version}"
            failure = Failure(reason, position, key, "stream.version")
            self.expiries.suspect(failure, "entries")

    def _broken(self, position: int, key: str, stream: Mapping[str, Any], head: Head) -> None:
        if stream["kind"] == self._sparse and stream["version"] > head[0] + 1:
            return
        # An entry out of place breaks the chain once: the stream may go on from where it was.
        other = self._others.get(key)
        self._others[key] = head
        if other is not None and (stream["version"], stream["previous"]) == (
            other[0] + 1,
            other[1].hex(),
        ):
            return
        if stream["version"] != head[0] + 1:
            reason = f"version {stream['version']} follows version {head[0]}, at position {head[2]}"
            failure = Failure(reason, position, key, "stream.version", follows=head[2])
        else:
            reason = (
                f"does not name the entry before it in its stream, at position {head[2]}: "
                "one of the two was changed"
            )
            failure = Failure(reason, position, key, "stream.previous", follows=head[2])
        self.expiries.suspect(failure, "chains")

    def _decreased(self, position: int, entry: Mapping[str, Any]) -> None:
        recorded, before = self.recorded
        key = f"{entry['stream']['kind']}/{entry['stream']['id']}"
        reason = f"recorded_at is before {recorded}, that of the entry at position {before}"
        failure = Failure(reason, position, key, "recorded_at", follows=before)
        self._findings.fail(failure, source="times")

    def _ledger_entry(self, position: int, raw: bytes, entry: Mapping[str, Any]) -> bool:
        """Entries that define the log itself, and whatever stands at position 0; whether it is
        accepted."""
        kind = entry["type"]
        if kind != STREAM_EXPIRED:
            self.definitions.append((position, raw))
        problem = None
        if position == 0:
            problem = genesis_problem(entry, self._origin, self._log_keys)
        elif kind == LEDGER_OPENED:
            problem = "type: a second ledger.opened in one log"
        if problem is not None:
            self._fail(position, entry, problem)
        stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
        if position == 0:
            self._ledger = stream
            self._succession(entry)
        if kind in (SCHEMA_REGISTERED, STREAM_EXPIRED) and self._ledger not in (None, stream):
            what = "types are registered" if kind == SCHEMA_REGISTERED else "streams expire"
            reason = f"stream: {what} in the stream of entry 0, and nowhere else"
            self._fail(position, entry, reason)
            return False
        if kind == SCHEMA_REGISTERED:
            try:
                registration = self.registry.learn(entry)
            except EntryError as error:
                self._fail(position, entry, str(error))
                return False
            self._findings.counts["registrations"] += 1
            if registration.recipient:
                self._recipients.add((registration.type, registration.schema))
        if kind == SEALED_LOST:
            problem = self._lost(position, entry, stream) or problem
        return problem is None

    def _assure(self, position: int, raw: bytes, entry: Mapping[str, Any]) -> None:
        """Take in what an entry says of whether the ledger's own processing is covered."""
        if self.assurance.learn(entry):
            self.assuring.append((position, raw))

    def _succession(self, entry: Mapping[str, Any]) -> None:
        """Say which log this one goes on for, if it is one."""
        data = entry["data"]
        try:
            known = parse_predecessor(data["predecessor"], data["origin"], data["keys"])
        except (EntryError, KeyError, TypeError):
            # There is none, or it is reported as the entry's own.
            return
        self._findings.not_assessed.append(known.words)

    def _lost(self, position: int, entry: Mapping[str, Any], stream: str) -> str | None:
        """Count what is declared lost; what is wrong with the declaration, or None."""
        try:
            lost = parse_lost(entry["data"])
        except EntryError:
            # Reported as the entry's own.
            return None
        problem = None
        if self._ledger not in (None, stream):
            problem = "stream: what is lost is declared in the stream of entry 0, and nowhere else"
        elif lost.log_size > position:
            problem = "data.log_size: the log did not hold that many entries before this one"
        if problem is not None:
            self._fail(position, entry, problem)
            return problem
        self._findings.counts["sealed_lost"] += lost.entries
        return None

    def _expired(self, position: int, entry: Mapping[str, Any]) -> bool:
        """Take in which entries are said to have expired; whether that may be said."""
        problem = self.expiries.learn(position, entry["data"])
        if problem is not None:
            self._fail(position, entry, problem)
        return problem is None

    def _collect(self, duplicates: Duplicates, position: int, entry: Mapping[str, Any]) -> None:
        if (entry["type"], entry["schema"]) in self._recipients:
            # Its true source is sealed: two recipients of one category may have used one id.
            self.recipient_entries += 1
        else:
            duplicates.add(ID_KEY, f"{entry['source']} {entry['id']}", position)
        for digest in entry["data"]["_sd"]:
            duplicates.add(DIGEST_KEY, digest, position)


def genesis_problem(entry: Mapping[str, Any], origin: str, log_keys: Collection[str]) -> str | None:
    """What is wrong with the entry at position 0, or None."""
    if entry["type"] != LEDGER_OPENED:
        return "type: entry 0 is not ledger.opened"
    data = entry["data"]
    if data.get("origin") != origin:
        return "data.origin: not the origin of the checkpoint"
    keys = data.get("keys")
    if not isinstance(keys, list) or any(key not in keys for key in log_keys):
        return "data.keys: does not name the key that signed the checkpoint"
    return None


def field_of(reason: str) -> str | None:
    """The member of an entry that the message of an EntryError begins with, if it names one."""
    match = _FIELD.match(reason)
    if match is None:
        return None
    name = match[1]
    return name if name.split(".")[0] in _MEMBERS else None


def stream_of(raw: bytes) -> str | None:
    """The stream that a malformed entry says it is in, when that much can be read."""
    try:
        value = orjson.loads(raw)
        stream = value["stream"]
        return StreamRef.parse(f"{stream['kind']}/{stream['id']}").text
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
