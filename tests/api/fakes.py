"""A ledger in memory with the methods that the routes call, for tests of HTTP alone.

It records into a list, keeps access by `ledger.access`, and can be told to fail. What it gives
back is shaped like the real thing and proves nothing: the tests of the real thing are elsewhere.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ledger import access
from ledger.access import Credential
from ledger.catalogue import CATALOGUE
from ledger.errors import DuplicateConflict, NotFound
from ledger.marks import OpenedEntry, Shown
from ledger.retention import KINDS
from ledger.submission import Recorded, StaffReference, StaffRequested, Submission
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.tiles import Tile

NOW = "2026-03-02T09:00:00.000Z"
#: Size of the fake's committed tree, for tiles.
TREE_SIZE = 300


class FakeLedger:
    """What `api.door.Door` asks for, over a list."""

    def __init__(self) -> None:
        self.tokens: dict[str, Credential] = {}
        self.entries: list[dict[str, Any]] = []
        self.submissions: list[Submission] = []
        self.staff: dict[str, str] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.failure: Exception | None = None
        self.ready = True
        self._done: dict[tuple[str, str], tuple[Submission, Recorded]] = {}
        self._closed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def closed(self) -> "asyncio.Future[Any]":
        return self._closed

    def _call(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, arguments))
        if self.failure is not None:
            raise self.failure

    async def authenticate(self, token: str) -> Credential | None:
        return self.tokens.get(token)

    async def record(
        self, credential: Credential, submissions: Sequence[Submission]
    ) -> Sequence[Recorded]:
        self._call("record", submissions)
        for submission in submissions:
            event_type = CATALOGUE.get(submission.type, submission.schema)
            assert event_type is not None
            event_type.validate(submission.data)
        for submission in submissions:
            known = self._done.get((submission.source, submission.id))
            if known is not None and known[0] != submission:
                raise DuplicateConflict("This id is recorded already, with other content.")
        return [self._record(credential, submission) for submission in submissions]

    def _record(self, credential: Credential, submission: Submission) -> Recorded:
        key = (submission.source, submission.id)
        if key in self._done:
            old = self._done[key][1]
            return Recorded(
                old.position,
                old.leaf_hash,
                old.stream,
                old.version,
                old.recorded_at,
                old.receipt,
                created=False,
            )
        position = self.add(
            submission.stream.kind,
            submission.hub,
            organisation=submission.organisation,
            source=submission.source,
            submitted_by=credential.public_id,
            stream_id=submission.stream.id,
        )
        result = Recorded(
            position,
            hashlib.sha256(b"\x00" + self.raw(position)).digest(),
            submission.stream,
            1,
            NOW,
            self.proof(position),
            created=True,
        )
        self.submissions.append(submission)
        self._done[key] = (submission, result)
        return result

    def add(
        self,
        kind: str,
        hub: str,
        organisation: str = "lewisham-council",
        source: str = "lewisham-cases",
        submitted_by: str | None = None,
        stream_id: str = "11111111-1111-4111-8111-111111111111",
    ) -> int:
        """Put an entry into the log; returns its position."""
        self.entries.append(
            {
                "data": {"_sd": []},
                "format": "hub-ledger/entry@v1",
                "hub": hub,
                "organisation": organisation,
                "source": source,
                "stream": {"id": stream_id, "kind": kind},
                "submitted_by": submitted_by,
                "type": "case.closed",
            }
        )
        return len(self.entries) - 1

    def raw(self, position: int) -> bytes:
        return orjson.dumps(self.entries[position], option=orjson.OPT_SORT_KEYS)

    def proof(self, position: int) -> str:
        return f"c2sp.org/tlog-proof@v1\nindex {position}\n"

    def _readable(self, credential: Credential, position: int) -> dict[str, Any]:
        if position < len(self.entries):
            entry = self.entries[position]
            if access.may_read_entry(credential, entry):
                return entry
        raise NotFound

    async def entry(
        self,
        credential: Credential,
        position: int,
        actor: str | None = None,
        purpose: str | None = None,
    ) -> bytes:
        self._call("entry", position, actor, purpose)
        self._readable(credential, position)
        return self.raw(position)

    async def receipt(self, credential: Credential, position: int) -> str:
        self._call("receipt", position)
        self._readable(credential, position)
        return self.proof(position)

    async def open_entry(
        self,
        credential: Credential,
        position: int,
        actor: str | None,
        purpose: str | None,
        reason: str | None = None,
    ) -> OpenedEntry:
        self._call("open_entry", position, actor, purpose)
        entry = self._readable(credential, position)
        classes = access.sealed_classes(credential, entry)
        if not classes:
            raise NotFound
        fields = {name: f"a {name} field" for name in sorted(classes)}
        return OpenedEntry(Shown(fields), {"disputed": False, "contests": [], "corrections": []})

    async def feed(
        self,
        credential: Credential,
        after: int = -1,
        limit: int = 100,
        types: frozenset[str] | None = None,
        hub: str | None = None,
        actor: str | None = None,
        purpose: str | None = None,
    ) -> tuple[Sequence[tuple[int, bytes]], int, int]:
        self._call("feed", after, limit, types, hub, actor, purpose)
        found = [
            (position, self.raw(position))
            for position, entry in enumerate(self.entries)
            if position > after
            and (types is None or entry["type"] in types)
            and (hub is None or entry["hub"] == hub)
            and access.may_read_entry(credential, entry)
        ][:limit]
        return found, len(self.entries) - 1, len(self.entries)

    def _owner(self, stream: StreamRef) -> access.Owner | None:
        for entry in self.entries:
            if entry["stream"] == {"id": stream.id, "kind": stream.kind}:
                return access.owner_in(entry)
        return None

    def _readable_case(self, credential: Credential, case_id: str) -> None:
        owner = self._owner(StreamRef("case", case_id))
        if owner is None or not access.may_read_stream(credential, "case", owner):
            raise NotFound

    async def case(
        self, credential: Credential, case_id: str, actor: str | None, at: int | None
    ) -> Mapping[str, Any]:
        self._call("case", case_id, actor, at)
        self._readable_case(credential, case_id)
        return {"id": case_id, "at": at}

    async def due(self, credential: Credential, hub: str, organisation: str) -> Mapping[str, Any]:
        self._call("due", hub, organisation)
        access.check_operation(credential, access.Operation.SEE_DUE)
        access.check_scope(credential, hub, organisation)
        kinds = {kind: {"due": 0, "waiting": {"too-young": 1}} for kind in KINDS}
        return {"entries": 0, "kinds": kinds}

    async def findings(self, credential: Credential) -> Mapping[str, Any]:
        self._call("findings")
        access.check_operation(credential, access.Operation.SEE_FINDINGS)
        return {"tree_size": 9, "as_of": "2026-03-01", "items": []}

    async def cases(
        self, credential: Credential, after: str | None, limit: int
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        self._call("cases", after, limit)
        ids = {
            entry["stream"]["id"]
            for entry in self.entries
            if entry["stream"]["kind"] == "case"
            and access.may_read_stream(credential, "case", access.owner_in(entry))
        }
        return [{"id": case_id} for case_id in sorted(ids)], None

    async def bundle(
        self,
        credential: Credential,
        stream: StreamRef,
        audience: str | None = None,
        *,
        at: int | None = None,
        recipient: str | None = None,
        expires_on: str | None = None,
        actor: str | None = None,
        purpose: str | None = None,
        reason: str | None = None,
    ) -> bytes:
        self._call("bundle", stream, audience, at, recipient, expires_on, actor, purpose, reason)
        owner = self._owner(stream)
        if owner is None or not access.may_read_stream(credential, stream.kind, owner):
            raise NotFound
        return b"PK\x05\x06" + bytes(18)

    async def erasure_certificate(
        self, credential: Credential, case_id: str, actor: str | None, form: str
    ) -> bytes:
        self._call("erasure_certificate", case_id, actor, form)
        self._readable_case(credential, case_id)
        return b"PK\x05\x06" + bytes(18)

    async def register_staff(
        self, credential: Credential, reference: str, body: object, actor: str | None
    ) -> StaffReference:
        self._call("register_staff", reference, body, actor)
        access.check_operation(credential, access.Operation.REGISTER_STAFF)
        organisation = credential.organisation or "lewisham-council"
        return StaffReference(reference, organisation, "2026-03-02", "2027-03-02", created=True)

    def _open_staff(self, credential: Credential, reference: str) -> None:
        access.check_operation(credential, access.Operation.OPEN_STAFF)
        organisation = self.staff.get(reference)
        if organisation is None or not access.may_open_staff(credential, organisation):
            raise NotFound

    async def request_staff(
        self,
        credential: Credential,
        reference: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> StaffRequested:
        self._call("request_staff", reference, body, actor, purpose)
        self._open_staff(credential, reference)
        return StaffRequested(reference, NOW)

    async def confirm_staff(
        self,
        credential: Credential,
        reference: str,
        opening: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> Mapping[str, Any]:
        self._call("confirm_staff", reference, opening, body, actor, purpose)
        self._open_staff(credential, reference)
        return {"reference": reference}

    async def checkpoint(self) -> bytes:
        self._call("checkpoint")
        return "example.org/log\n300\nAAAA\n\n— example.org/log AAAA\n".encode()

    async def tile(self, tile: Tile) -> bytes:
        self._call("tile", tile)
        if tile.level != 0 or tile.end > TREE_SIZE:
            raise NotFound
        return bytes(32 * tile.width)

    async def entry_bundle(
        self,
        credential: Credential,
        tile: Tile,
        actor: str | None = None,
        purpose: str | None = None,
    ) -> bytes:
        self._call("entry_bundle", tile, actor, purpose)
        if tile.end > TREE_SIZE:
            raise NotFound
        return bytes(2 * tile.width)

    async def status(self) -> Mapping[str, Any]:
        self._call("status")
        return {
            "ready": self.ready,
            "tree_size": TREE_SIZE,
            "published_size": 256,
            "projected_size": 290,
            "data_directory": "/srv/not-for-everybody",
        }
