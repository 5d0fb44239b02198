"""`Ledger`: the one door to a running ledger.

Guarantees: everything the service does goes through here, with a credential; what `record` returns
is durable. A ledger that cannot vouch for its log (guard, head, key store, clock) does not open.
When its writer ends, `closed` resolves and every caller gets an error at once.
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from ledger import config
from ledger.access import Credential, Operation, check_operation, check_scope
from ledger.certifying import Certifier
from ledger.database import database_errors, is_postgres_url, open_database
from ledger.errors import Busy, KeyNotAtHand
from ledger.expiring import Expirer
from ledger.findings import Standing
from ledger.log.client import WriterClient
from ledger.marks import OpenedEntry
from ledger.opening import Opener
from ledger.openings import Openings
from ledger.packs import Packer, wanted_pack
from ledger.projections.cases import CaseIndex
from ledger.projections.keeping import projecting
from ledger.reading import Reader, Visible
from ledger.receipts import ReceiptMaker
from ledger.recording import Recorder
from ledger.rotations import RotationRecorder
from ledger.scanning import Scan
from ledger.staff import Staff
from ledger.store import Store, open_store
from ledger.streams import Streams
from ledger.submission import Recorded, StaffReference, StaffRequested, Submission
from ledger.tokens import TokenStore
from ledger.tombstones import Tombstones
from ledger.vault.erasure import check_against_log
from ledger.vault.keepers import open_wrapper
from ledger.vault.keyring import KeyRing
from ledger.vault.keystore import KeyStore
from ledger.vault.threads import in_vault_thread
from ledger.verifying import Verifying
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.tiles import Tile

Asked = ParamSpec("Asked")
Given = TypeVar("Given")

#: Most seconds that a ledger which is closed waits for its erasures to be verified.
_VERIFY_SECONDS: Final = 3.0


def _answering(
    method: Callable[Concatenate["Ledger", Asked], Awaitable[Given]],
) -> Callable[Concatenate["Ledger", Asked], Coroutine[Any, Any, Given]]:
    """A database that does not answer is a reason to come back, not a fault of the request. Where
    the key of what has expired is not at hand it is fetched, and no thread waits for it that others
    need."""

    @functools.wraps(method)
    async def call(ledger: "Ledger", /, *arguments: Asked.args, **named: Asked.kwargs) -> Given:
        try:
            try:
                return await method(ledger, *arguments, **named)
            except KeyNotAtHand:
                await ledger._tombstones.have_key()
            return await method(ledger, *arguments, **named)
        except database_errors() as error:
            raise Busy("The database does not answer now. Try again in a moment.") from error

    return call


class Ledger:
    """A running ledger. Open one with `async with Ledger.open(directory)`."""

    def __init__(
        self,
        directory: config.DataDirectory,
        store: Store,
        writer: WriterClient,
        tokens: TokenStore,
        keys: KeyStore,
        cases: CaseIndex,
        openings: Openings,
    ) -> None:
        self.origin = directory.origin
        self._store, self._writer, self._tokens = store, writer, tokens
        self._cases = cases
        log_keys = directory.policy().log_keys(directory.origin)
        opener = Opener(directory.origin, store, keys, log_keys)
        receipts = ReceiptMaker(store)
        tombstones = self._tombstones = Tombstones(store, keys)
        self._expirer = Expirer(store, keys, tombstones)
        self._recorder = Recorder(
            directory.origin,
            store,
            KeyRing(keys),
            opener,
            writer,
            receipts,
            tombstones,
            self._expirer,
        )
        streams = Streams(store, opener, self._recorder, openings, tombstones)
        self._reader = Reader(store, opener, self._recorder, receipts, cases, streams, tombstones)
        self._standing = Standing(store)
        self._packer = Packer(directory.origin, store, self._recorder, streams, writer)
        self._staff = Staff(directory.origin, store, keys, opener, self._recorder, tombstones)
        self._opener = opener
        vacuums = not directory.embedded or is_postgres_url(directory.key_database)
        self._verifying = Verifying(
            store,
            Scan(directory.path, store, opener, vacuums=vacuums),
            self._recorder.record_for_service,
            directory.key_backup_days,
        )
        self._recorder.executed = self._verifying.add
        self._certifier = Certifier(
            directory.origin, store, opener, self._recorder, streams, writer
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, data: Path, *, accept_clock: bool = False) -> "AsyncIterator[Ledger]":
        """Open the ledger of a data directory, starting its writer and projector.

        Raises ConfigurationError or IntegrityAlarm when it must not be served.
        """
        directory = config.load(data)
        config.refuse_succeeded(directory)
        async with contextlib.AsyncExitStack() as stack:
            store = open_store(directory.database)
            stack.callback(store.close)
            wrapper = open_wrapper(directory)
            keys = KeyStore(open_database(directory.key_database), wrapper)
            stack.callback(keys.close)
            await in_vault_thread(keys.check_wrapping)
            access = open_database(directory.access_database)
            stack.callback(access.close)
            read_models = open_database(directory.projections_database)
            stack.callback(read_models.close)
            cases, openings = CaseIndex(read_models), Openings(access)
            await asyncio.to_thread(cases.create)
            await asyncio.to_thread(openings.create)
            writer = await WriterClient.start(data, accept_clock=accept_clock)
            stack.push_async_callback(writer.stop)
            await asyncio.to_thread(check_against_log, keys, lambda: _size(store))
            ledger = cls(directory, store, writer, TokenStore(access), keys, cases, openings)
            # An erasure that was recorded before a crash is carried out before anything is served.
            await asyncio.to_thread(ledger._opener.apply_erasures)
            await ledger._tombstones.prepare()
            await stack.enter_async_context(projecting(data))
            rotations = RotationRecorder(store, keys, writer)
            await stack.enter_async_context(rotations.recording())
            await stack.enter_async_context(ledger._verifies())
            yield ledger

    @contextlib.asynccontextmanager
    async def _verifies(self) -> AsyncIterator[None]:
        """Erasures are verified for as long as the ledger is open. At its end what is waiting gets
        a moment: what was stored of it is known to nobody afterwards."""
        task = asyncio.create_task(self._verifying.run())
        try:
            yield
            if not self.closed.done():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.erasures_verified(), _VERIFY_SECONDS)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def erasures_verified(self) -> None:
        """Return once every erasure that this service has recorded is verified."""
        await self._verifying.settled()

    @property
    def closed(self) -> "asyncio.Future[str]":
        """Resolves, with its last words, when the writer has ended."""
        return self._writer.closed

    @property
    def writer_pid(self) -> int:
        """Process id of the writer, for supervision."""
        return self._writer.pid

    @property
    def waiting_events(self) -> int:
        """Events that were handed to the writer and not answered yet."""
        return self._writer.waiting_events

    @_answering
    async def authenticate(self, token: str) -> Credential | None:
        """The credential of a token, or None."""
        remembered = self._tokens.find_remembered(token)
        if remembered is not None:
            return remembered
        return await asyncio.to_thread(self._tokens.find, token)

    @_answering
    async def record(
        self, credential: Credential, submissions: Sequence[Submission]
    ) -> list[Recorded]:
        """Record events, all or none; one result for each, in order."""
        return await self._recorder.record(credential, submissions)

    @_answering
    async def entry(
        self,
        credential: Credential,
        position: int,
        actor: str | None = None,
        purpose: str | None = None,
    ) -> bytes:
        """The exact bytes of an entry."""
        return await self._reader.entry(credential, position, actor, purpose)

    @_answering
    async def receipt(self, credential: Credential, position: int) -> str:
        """A C2SP tlog-proof of an entry."""
        return await self._reader.receipt(credential, position)

    @_answering
    async def feed(
        self,
        credential: Credential,
        after: int = -1,
        limit: int = 100,
        types: frozenset[str] | None = None,
        hub: str | None = None,
        actor: str | None = None,
        purpose: str | None = None,
    ) -> tuple[list[Visible], int, int]:
        """Entries after a position, where to go on from, and the size of the log."""
        return await self._reader.feed(credential, after, limit, types, hub, actor, purpose)

    @_answering
    async def case(
        self, credential: Credential, case_id: str, actor: str | None, at: int | None
    ) -> dict[str, Any]:
        """The state of a case, now or at a tree size."""
        return await self._reader.case(credential, case_id, actor, at)

    @_answering
    async def cases(
        self, credential: Credential, after: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of cases, and the next cursor."""
        return await self._reader.cases(credential, after, limit)

    @_answering
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
        """The evidence bundle of a stream about somebody, or with an audience (an auditor, an
        inspector, the person concerned) a pack for it; `at` a published checkpoint's size."""
        wanted = None if audience is None else wanted_pack(audience, recipient, expires_on)
        return await self._packer.bundle(
            credential, stream, wanted, at=at, actor=actor, purpose=purpose, reason=reason
        )

    @_answering
    async def erasure_certificate(
        self, credential: Credential, case_id: str, actor: str | None, form: str
    ) -> bytes:
        """The certificate of a case's erasure, for the controller or for the person."""
        return await self._certifier.certificate(credential, case_id, actor, form)

    @_answering
    async def open_entry(
        self,
        credential: Credential,
        position: int,
        actor: str | None,
        purpose: str | None,
        reason: str | None = None,
    ) -> OpenedEntry:
        """The sealed fields of an entry that the caller may open, and its marks."""
        return await self._reader.sealed(credential, position, actor, purpose, reason)

    @_answering
    async def sealed(
        self,
        credential: Credential,
        position: int,
        actor: str | None,
        purpose: str | None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """The sealed fields of an entry that the caller may open, without its marks."""
        opened = await self._reader.sealed(credential, position, actor, purpose, reason)
        return dict(opened.fields)

    @_answering
    async def due(self, credential: Credential, hub: str, organisation: str) -> dict[str, Any]:
        """Counts of what would expire of a hub and organisation, and of what waits for which
        reason; raises NoPolicy or OutOfScope."""
        check_operation(credential, Operation.SEE_DUE)
        check_scope(credential, hub, organisation)
        found = await asyncio.to_thread(self._expirer.due, hub, organisation)
        return found.to_json()

    @_answering
    async def findings(self, credential: Credential) -> dict[str, Any]:
        """Findings on the ledger as a whole."""
        check_operation(credential, Operation.SEE_FINDINGS)
        return await asyncio.to_thread(self._standing.find)

    @_answering
    async def register_staff(
        self, credential: Credential, reference: str, body: object, actor: str | None
    ) -> StaffReference:
        """Register a staff reference."""
        return await self._staff.register(credential, reference, body, actor)

    @_answering
    async def request_staff(
        self,
        credential: Credential,
        reference: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> StaffRequested:
        """Ask, as the first of two people, who is behind a staff reference."""
        return await self._staff.request(credential, reference, body, actor, purpose)

    @_answering
    async def confirm_staff(
        self,
        credential: Credential,
        reference: str,
        opening: str,
        body: object,
        actor: str | None,
        purpose: str | None,
    ) -> dict[str, Any]:
        """Who is behind a staff reference, for the second of two people."""
        return await self._staff.confirm(credential, reference, opening, body, actor, purpose)

    @_answering
    async def checkpoint(self) -> bytes:
        """The newest published checkpoint."""
        return await self._reader.checkpoint()

    @_answering
    async def tile(self, tile: Tile) -> bytes:
        """A hash tile."""
        return await self._reader.tile(tile)

    @_answering
    async def entry_bundle(
        self,
        credential: Credential,
        tile: Tile,
        actor: str | None = None,
        purpose: str | None = None,
    ) -> bytes:
        """An entry bundle."""
        return await self._reader.entry_bundle(credential, tile, actor, purpose)

    async def status(self) -> dict[str, Any]:
        """Whether the ledger can record, and how far each part of it has come."""
        head = await asyncio.to_thread(self._store.head)
        published = await asyncio.to_thread(self._store.newest_publication)
        return {
            "ready": head is not None and not self.closed.done(),
            "tree_size": 0 if head is None else head.size,
            "published_size": 0 if published is None else published[0],
            "projected_size": await asyncio.to_thread(self._cases.size),
        }


def _size(store: Store) -> int:
    head = store.head()
    return 0 if head is None else head.size
