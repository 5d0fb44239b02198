"""Entries that the service records on its own behalf: the opening of the log, its schemas, and what
was lost of it.

Guarantees: entry 0 is `ledger.opened` with the origin and the log's verifier keys; every type of
the catalogue is registered before the first entry of that type; what a restore has lost, on the
word of the log's key and no other, is declared before anything else is recorded. These types are
defined by the format and never accepted from a client.
"""

import secrets
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from ledger.catalogue import CATALOGUE
from ledger.config import SigningKeys
from ledger.log.messages import PreparedEvent
from ledger.log.restored import flaw
from ledger.store.base import Store
from ledger.store.lost import select_undeclared
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.disclosure import b64url
from ledger_verifier.formats.note import VerifierKey
from ledger_verifier.meaning.schemas import LEDGER_OPENED, SCHEMA_REGISTERED, SEALED_LOST


def new_nonce() -> str:
    """128 random bits in base64url: after expiry a leaf hash then confirms no guess."""
    return b64url(secrets.token_bytes(16))


def service_event(
    stream_id: str, type_name: str, at: str, data: dict[str, Any], event_id: str | None = None
) -> PreparedEvent:
    """An entry of the ledger stream recorded by the service itself, under a new id unless one is
    given."""
    entry = {
        "_sd_alg": entries.SD_ALG,
        "actor": None,
        "data": {**data, "_sd": []},
        "format": entries.FORMAT,
        "hub": entries.CENTRAL_HUB,
        "id": event_id or str(uuid4()),
        "nonce": new_nonce(),
        "occurred_at": at,
        "organisation": entries.SERVICE_CODE,
        "regime": None,
        "schema": 1,
        "source": entries.SERVICE_CODE,
        "stream": {"kind": "ledger", "id": stream_id},
        "submitted_by": None,
        "type": type_name,
    }
    return PreparedEvent(entry, entries.SERVICE_CODE, None, (), any_hub=False, erases=False)


def opening(
    origin: str, keys: SigningKeys, at: str, predecessor: dict[str, Any] | None = None
) -> list[PreparedEvent]:
    """The first entries of a new log: its opening, which says what log it goes on for, if any, and
    the registration of every type."""
    stream_id = str(uuid4())
    data = {
        "origin": origin,
        "keys": [keys.ed25519.key.vkey, keys.mldsa44.key.vkey],
        "predecessor": predecessor,
    }
    opened = service_event(stream_id, LEDGER_OPENED, at, data)
    return [opened, *_registrations(stream_id, at, known=())]


def missing_registrations(store: Store, at: str) -> list[PreparedEvent]:
    """Registrations of types that this software knows and this log does not, yet."""
    known: list[tuple[str, int]] = []
    start = 0
    while found := store.entries(start, 1000, [SCHEMA_REGISTERED]):
        for stored in found:
            data = entries.decode(stored.raw)["data"]
            known.append((data["type"], data["schema"]))
        start = found[-1].position + 1
    first = store.entry(0)
    if first is None:
        return []
    return _registrations(entries.decode(first)["stream"]["id"], at, known)


def declarations(store: Store, key: VerifierKey, size: int, at: str) -> list[PreparedEvent]:
    """Declarations of what a restore has lost, on the word of the log's key, and no entry of this
    log of that size tells of yet."""
    with store.read() as rows:
        undeclared = select_undeclared(rows)
    lost = [note.lost for note in undeclared if flaw(note, [key], size) is None]
    first = store.entry(0)
    if first is None or not lost:
        return []
    stream_id = entries.decode(first)["stream"]["id"]
    return [service_event(stream_id, SEALED_LOST, at, asdict(one)) for one in lost]


def _registrations(
    stream_id: str, at: str, known: Iterable[tuple[str, int]]
) -> list[PreparedEvent]:
    already = set(known)
    return [
        service_event(stream_id, SCHEMA_REGISTERED, at, event_type.registration())
        for event_type in CATALOGUE.registrations()
        if (event_type.type, event_type.schema) not in already
    ]
