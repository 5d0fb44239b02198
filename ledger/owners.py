"""Whose the streams of entries are.

Guarantees: a stream is of the hub and organisation of its first entry; an access stream is of those
of the stream that it tells of, also after that one has expired, and never of whoever read it first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.access import Owner, owner_in
from ledger.store.base import Store
from ledger.tombstones import Tombstones
from ledger_verifier.formats import entry as entries


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
