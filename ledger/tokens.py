"""Bearer tokens: random, shown once, kept only as a digest, revocable within five seconds.

Guarantees: a token is 32 random bytes in base64url after `hl_`; what is stored is its SHA-256,
which says nothing of it (a slow password hash is for secrets that can be guessed; these cannot).
`find` answers for a revoked token for at most `CACHE_SECONDS` more in another process and at once
in this one; for one whose end has come, not at all. Nothing but the token's caller ever holds its
text: it is in no error and no log line.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from ledger.access import GRANTS, Credential, Role
from ledger.database import Cursor, Database
from ledger.errors import LedgerError
from ledger_verifier.formats import entry as entries

#: Longest time for which this process answers for a token without asking the database.
CACHE_SECONDS: Final = 4.0
#: Most tokens remembered; the least recently used is forgotten first.
CACHE_SIZE: Final = 4096
#: An inspector's token always ends: this long after it was made where no end is given.
INSPECTOR_DAYS: Final = 28

_PREFIX: Final = "hl_"
_TEXT = re.compile(r"hl_[A-Za-z0-9_-]{43}")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_-]{0,63}")

_COLUMNS = (
    "public_id, role, all_scopes, organisation, hubs, sources, machine, not_after, created_at, "
    "revoked_at, reference"
)


class TokenRefused(LedgerError):
    """No such token can be made; the detail says what is wrong with what was asked for."""

    slug = "token-refused"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """One token as an operator sees it: never its text.

    Instants are `YYYY-MM-DDTHH:MM:SS.mmmZ`. `reference` is the inspection or case reference under
    which it was given out, if any.
    """

    credential: Credential
    created_at: str
    revoked_at: str | None
    reference: str | None


class TokenStore:
    """The tokens of one ledger, in one side database.

    `now` is wall time, for ends and stamps; `monotonic`, in seconds, is for the age of what is
    remembered. Safe to use from several threads.
    """

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._generation = 0
        self._remembered: OrderedDict[bytes, tuple[float, Credential]] = OrderedDict()

    def create_table(self) -> None:
        """Make the table where it does not exist yet; `hub-ledger init` does this once."""
        blob = self._database.blob
        with self._database.transaction() as cursor:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS tokens (digest {blob} PRIMARY KEY, "
                "public_id TEXT NOT NULL UNIQUE, role TEXT NOT NULL, all_scopes INTEGER NOT NULL, "
                "organisation TEXT, hubs TEXT NOT NULL, sources TEXT NOT NULL, "
                "machine INTEGER NOT NULL, not_after TEXT, created_at TEXT NOT NULL, "
                "revoked_at TEXT, reference TEXT)"
            )

    def create(
        self,
        role: Role | str,
        *,
        all: bool = False,
        organisation: str | None = None,
        hubs: Iterable[str] = (),
        sources: Iterable[str] = (),
        machine: bool = False,
        not_after: str | None = None,
        reference: str | None = None,
    ) -> tuple[str, Credential]:
        """Make a token and return its text, which is not to be had again, and what it is bound to.

        Raises TokenRefused, saying what is wrong, for an unknown role, a binding that is not well
        formed, or both `all` and a binding.
        """
        now = self._now()
        if role == Role.INSPECTOR and not_after is None:
            not_after = _stamp(now + timedelta(days=INSPECTOR_DAYS))
        credential = Credential(
            public_id=str(uuid.uuid4()),
            role=_role(role),
            all=all,
            organisation=organisation,
            hubs=frozenset(hubs),
            sources=frozenset(sources),
            machine=machine,
            not_after=not_after,
        )
        _check_binding(credential)
        if not_after is not None and not_after <= _stamp(now):
            raise TokenRefused("its end of validity has passed already")
        if reference is not None and not _REFERENCE.fullmatch(reference):
            raise TokenRefused("a reference is up to 64 letters, digits, spaces and . / _ -")
        text = _PREFIX + secrets.token_urlsafe(32)
        row = (
            _digest(text),
            credential.public_id,
            credential.role.value,
            int(credential.all),
            credential.organisation,
            orjson.dumps(sorted(credential.hubs)).decode(),
            orjson.dumps(sorted(credential.sources)).decode(),
            int(credential.machine),
            credential.not_after,
            _stamp(now),
            None,
            reference,
        )
        with self._database.transaction() as cursor:
            cursor.execute(
                f"INSERT INTO tokens (digest, {_COLUMNS}) "  # noqa: S608 (constant columns)
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return text, credential

    def find(self, token: str) -> Credential | None:
        """The credential of a token that is good now, or None. Asks the database unless the token
        was found in the last `CACHE_SECONDS`, so call it off the event loop."""
        credential = self.find_remembered(token)
        if credential is not None or not _TEXT.fullmatch(token):
            return credential
        digest = _digest(token)
        with self._lock:
            asked, generation = self._monotonic(), self._generation
        with self._database.transaction() as cursor:
            row = _select(cursor, digest)
        if row is None:
            return None
        stored, record = row
        if not hmac.compare_digest(stored, digest) or record.revoked_at is not None:
            return None
        if self._ended(record.credential):
            return None
        with self._lock:
            if generation == self._generation:
                self._remembered[digest] = (asked, record.credential)
            while len(self._remembered) > CACHE_SIZE:
                self._remembered.popitem(last=False)
        return record.credential

    def find_remembered(self, token: str) -> Credential | None:
        """The credential if this process still remembers the token; None says nothing: ask `find`.
        Touches memory alone, so it may be called on the event loop."""
        if not _TEXT.fullmatch(token):
            return None
        digest = _digest(token)
        with self._lock:
            found = self._remembered.get(digest)
            if found is None:
                return None
            since, credential = found
            if self._monotonic() - since >= CACHE_SECONDS or self._ended(credential):
                del self._remembered[digest]
                return None
            self._remembered.move_to_end(digest)
            return credential

    def revoke(self, public_id: str) -> bool:
        """End a token by the public id of its credential; False when there is none, or it was
        revoked before. Other processes stop honouring it within `CACHE_SECONDS`."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "SELECT digest FROM tokens WHERE public_id = ? AND revoked_at IS NULL", (public_id,)
            )
            row = cursor.fetchone()
            if row is not None:
                cursor.execute(
                    "UPDATE tokens SET revoked_at = ? WHERE public_id = ?",
                    (_stamp(self._now()), public_id),
                )
        with self._lock:
            # A `find` under way in another thread may be about to remember what it read before the
            # revocation was committed; a new generation forbids it.
            self._generation += 1
            self._remembered.clear()
        return row is not None

    def list(self) -> list[TokenRecord]:
        """Every token ever made, oldest first."""
        with self._database.transaction() as cursor:
            cursor.execute(
                f"SELECT digest, {_COLUMNS} FROM tokens "  # noqa: S608 (constant columns)
                "ORDER BY created_at, public_id"
            )
            rows = cursor.fetchall()
        return [_record(row)[1] for row in rows]

    def _ended(self, credential: Credential) -> bool:
        # Instants of this one fixed shape sort as text.
        return credential.not_after is not None and _stamp(self._now()) >= credential.not_after


def _select(cursor: Cursor, digest: bytes) -> tuple[bytes, TokenRecord] | None:
    cursor.execute(
        f"SELECT digest, {_COLUMNS} FROM tokens WHERE digest = ?",  # noqa: S608
        (digest,),
    )
    row = cursor.fetchone()
    return None if row is None else _record(row)


def _record(row: tuple[object, ...]) -> tuple[bytes, TokenRecord]:
    (
        digest,
        public_id,
        role,
        everything,
        organisation,
        hubs,
        sources,
        machine,
        end,
        made,
        gone,
        ref,
    ) = row
    credential = Credential(
        public_id=str(public_id),
        role=Role(str(role)),
        all=bool(everything),
        organisation=_text(organisation),
        hubs=frozenset(orjson.loads(str(hubs))),
        sources=frozenset(orjson.loads(str(sources))),
        machine=bool(machine),
        not_after=_text(end),
    )
    if not isinstance(digest, bytes | bytearray | memoryview):
        raise TypeError("tokens.digest is not a blob")
    return bytes(digest), TokenRecord(credential, str(made), _text(gone), _text(ref))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _role(role: Role | str) -> Role:
    try:
        return Role(role)
    except ValueError:
        known = ", ".join(known.value for known in Role)
        raise TokenRefused(f"a role is one of {known}") from None


def _check_binding(credential: Credential) -> None:
    if credential.not_after is not None and not entries.is_instant(credential.not_after):
        raise TokenRefused("an end is an instant YYYY-MM-DDTHH:MM:SS.mmmZ")
    bound = credential.organisation is not None or credential.hubs or credential.sources
    if credential.all:
        if bound:
            raise TokenRefused("a token is made for everything or for some organisation, not both")
        return
    if credential.organisation is None or not credential.hubs:
        raise TokenRefused("a token is bound to one organisation and at least one hub")
    if GRANTS[credential.role].records and not credential.sources:
        raise TokenRefused("a token that records is bound to at least one source system")
    if not all(map(entries.is_hub, credential.hubs)):
        raise TokenRefused("a hub is E and eight digits, or central")
    codes = {credential.organisation, *credential.sources}
    if not all(map(entries.is_code, codes)):
        raise TokenRefused("a code is 2 to 40 lower-case letters, digits and hyphens")
    if entries.SERVICE_CODE in codes:
        raise TokenRefused(f"the code {entries.SERVICE_CODE} is the service's own")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()


def _stamp(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
