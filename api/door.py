"""What HTTP asks of the ledger, and where a request finds it.

`Door` is the part of `ledger.application.Ledger` that the routes call, written out so that the
type checker holds the two together and the routes can be tested against a ledger in memory.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from aiohttp import web

from ledger.access import Credential
from ledger.marks import OpenedEntry
from ledger.submission import Recorded, StaffReference, StaffRequested, Submission
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.tiles import Tile


class Door(Protocol):
    """The ledger as HTTP sees it. Every method but `closed` may raise a LedgerError."""

    @property
    def closed(self) -> "asyncio.Future[Any]":
        """Resolves when the writer has died: the service must stop."""

    async def authenticate(self, token: str) -> Credential | None:
        """The credential of a token that is good now."""

    async def record(
        self, credential: Credential, submissions: Sequence[Submission]
    ) -> Sequence[Recorded]:
        """Record all or nothing; one result for each, in order."""

    async def entry(
        self,
        credential: Credential,
        position: int,
        actor: str | None = None,
        purpose: str | None = None,
    ) -> bytes:
        """The exact bytes of an entry; the reading is recorded."""

    async def receipt(self, credential: Credential, position: int) -> str:
        """A tlog-proof of an entry."""

    async def open_entry(
        self,
        credential: Credential,
        position: int,
        actor: str | None,
        purpose: str | None,
        reason: str | None = None,
    ) -> OpenedEntry:
        """The sealed fields of an entry that the caller may open, and its marks; the reading is
        recorded."""

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
        """Entries past a position that the caller may read, where to go on, and the tree size; the
        reading is recorded."""

    async def case(
        self, credential: Credential, case_id: str, actor: str | None, at: int | None
    ) -> Mapping[str, Any]:
        """The state of a case, now or at a tree size; the reading is recorded."""

    async def due(self, credential: Credential, hub: str, organisation: str) -> Mapping[str, Any]:
        """Counts of the streams that are due to expire, by kind."""

    async def cases(
        self, credential: Credential, after: str | None, limit: int
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """Cases the caller may read, and the cursor of the next page."""

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
        """The evidence bundle of a stream, or a pack of it for one kind of reader; the reading, and
        the making of a pack, are recorded."""

    async def erasure_certificate(
        self, credential: Credential, case_id: str, actor: str | None, form: str
    ) -> bytes:
        """The certificate of a case's erasure."""

    async def findings(self, credential: Credential) -> Mapping[str, Any]:
        """Findings on the ledger as a whole."""

    async def register_staff(
        self, credential: Credential, reference: str, body: object, actor: str | None
    ) -> StaffReference:
        """Register a staff reference; the registering is recorded."""

    async def request_staff(
        self,
        credential: Credential,
        reference: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> StaffRequested:
        """The first of two people asks who is behind a staff reference; that is recorded."""

    async def confirm_staff(
        self,
        credential: Credential,
        reference: str,
        opening: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> Mapping[str, Any]:
        """The second of two people is told who is behind it; that is recorded first."""

    async def checkpoint(self) -> bytes:
        """The newest published checkpoint."""

    async def tile(self, tile: Tile) -> bytes:
        """A hash tile within the committed tree."""

    async def entry_bundle(
        self,
        credential: Credential,
        tile: Tile,
        actor: str | None = None,
        purpose: str | None = None,
    ) -> bytes:
        """An entry bundle within the committed tree; the reading is recorded."""

    async def status(self) -> Mapping[str, Any]:
        """Whether the service is ready, and how far the log has come."""


LEDGER: Final = web.AppKey("ledger", Door)
CREDENTIAL: Final = web.RequestKey("credential", Credential)
