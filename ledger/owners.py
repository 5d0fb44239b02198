"""Whose the streams of entries are.

Guarantees: a stream is of the hub and organisation of its first entry; an access stream is of those
of the stream that it tells of, also after that one has expired, and never of whoever read it first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.access import Owner, owner_in
from ledger.store.base import Store
from ledger.tombstones import Tombstones
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.entry import StreamRef


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose a stream is, if anybody's, whether it has entries now, and whether it had and they have
    expired."""

    owner: Owner | None
    there: bool
    expired: bool


def whose(store: Store, tombstones: Tombstones, stream: StreamRef) -> Whose:
    """Whose a stream is. The same is looked up whatever the answer: neither the kind of a stream
    nor whether there is one shows in how long it takes. Raises VaultUnavailable."""
    names = [f"{kind}/{stream.id}" for kind in sorted(entries.STREAM_KINDS)]
    heads = store.stream_heads(names)
    live = {name: Owner(head.hub, head.organisation) for name, head in heads.items()}
    gone = {name: Owner(*of) for name, of in tombstones.look((), names).streams.items()}
    told = [name for name in names if name != stream.text] if stream.kind == "access" else []
    known = [
        found[name]
        for asked in (told, [stream.text])
        for found in (live, gone)
        for name in asked
        if name in found
    ]
    return Whose(known[0] if known else None, stream.text in live, stream.text in gone)


def owners_of(
    store: Store, tombstones: Tombstones, found: Sequence[Mapping[str, Any]]
) -> dict[str, Owner]:
    """The owner of the stream of each of these decoded entries, by stream. Raises
    VaultUnavailable."""
    told = {stream_of(entry): streams_read(entry) for entry in found}
    heads = store.stream_heads({*told, *(name for names in told.values() for name in names)})
    owners = {name: Owner(head.hub, head.organisation) for name, head in heads.items()}
    lost = {name for names in told.values() if not owners.keys() & set(names) for name in names}
    if lost:
        gone = tombstones.look((), lost).streams
        owners.update({name: Owner(*whose) for name, whose in gone.items()})
    result: dict[str, Owner] = {}
    for entry in found:
        stream = stream_of(entry)
        known = [owners[name] for name in (*told[stream], stream) if name in owners]
        result[stream] = known[0] if known else owner_in(entry)
    return result


def stream_of(entry: Mapping[str, Any]) -> str:
    """The stream of a decoded entry, as `kind/id`."""
    return f"{entry['stream']['kind']}/{entry['stream']['id']}"


def streams_read(entry: Mapping[str, Any]) -> list[str]:
    """The streams that an entry of an access stream may tell of; none for other entries."""
    stream = entry["stream"]
    if stream["kind"] != "access":
        return []
    return [f"{kind}/{stream['id']}" for kind in sorted(entries.STREAM_KINDS - {"access"})]
