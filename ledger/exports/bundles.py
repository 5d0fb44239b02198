"""Log bundles and bundles of one stream, in the format of docs/formats.md, "Bundles".

Guarantees: the same content makes the same bytes. A log bundle holds every tile of one published
checkpoint, at its tlog-tiles paths. A bundle of a stream holds its entries with their proofs
against one checkpoint, and the registrations without which they cannot be understood: two of one
stream against one checkpoint differ in nothing but their disclosures.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import orjson

from ledger.errors import BeyondTheLog, Busy, FieldError, NotFound
from ledger.receipts import nodes
from ledger.store.base import Store
from ledger.store.records import StoredEntry
from ledger_verifier.formats.bundle import (
    CHECKPOINT,
    MANIFEST,
    CaseManifest,
    disclosures_name,
    encode_disclosures,
    encode_proof,
    entry_name,
    proof_name,
    write_bundle,
)
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.entry import MAX_INTEGER
from ledger_verifier.formats.merkle import prove_inclusion
from ledger_verifier.formats.note import Note
from ledger_verifier.formats.tiles import Tile, bundles_of, encode_entries, encode_hashes, tiles_of
from ledger_verifier.meaning.schemas import SCHEMA_REGISTERED


def read_hash_tile(store: Store, tile: Tile) -> bytes:
    """A hash tile of a committed size; raises NotFound when it has fewer cells than asked for."""
    assert tile.level is not None
    start = _start(tile)
    hashes = store.cells(tile.level, start, start + tile.width)
    if len(hashes) < tile.width:
        raise NotFound
    return encode_hashes(hashes)


def read_entry_bundle(store: Store, tile: Tile) -> bytes:
    """An entry bundle of a committed size; raises NotFound beyond it. An entry that is not there
    has no bytes: whether the log explains that is for who verifies it."""
    start = _start(tile)
    found = store.entries(start, tile.width)
    if len(found) < tile.width or found[-1].position != start + tile.width - 1:
        head = store.head()
        if head is None or start + tile.width > head.size:
            raise NotFound
        # Read after the size: what came between is not missing.
        found = store.entries(start, tile.width)
    held = {stored.position: stored.raw for stored in found}
    return encode_entries([held.get(start + place, b"") for place in range(tile.width)])


def _start(tile: Tile) -> int:
    """Index of a tile's first cell; raises NotFound where no log can reach."""
    start = tile.index * 256
    if start > MAX_INTEGER:
        raise NotFound
    return start


def write_log_bundle(store: Store, path: Path) -> int:
    """Write the whole log under its newest published checkpoint to a file; returns its size in
    entries. Raises NotFound before the first publication, and Busy when entries have expired since
    it, so that it lacks the entry that explains what is gone."""
    published = store.newest_publication()
    if published is None:
        raise NotFound
    size, checkpoint = published

    def members() -> Iterator[tuple[str, bytes]]:
        yield "checkpoint", checkpoint
        for tile in tiles_of(size):
            yield tile.path, read_hash_tile(store, tile)
        for tile in bundles_of(size):
            yield tile.path, read_entry_bundle(store, tile)

    with path.open("xb") as file:
        write_bundle(file, members())
    # Looked at last: what expired meanwhile may be in what was written.
    if store.expired_through() > size:
        path.unlink()
        raise Busy(
            "Entries have expired since the newest checkpoint was published, and the entry that "
            "says so is not under it yet. Try again after the next one; the running service "
            "publishes it."
        )
    return size


def covering_checkpoint(store: Store, position: int) -> tuple[int, bytes]:
    """Size and text of the newest published checkpoint if it covers a position, else those of the
    committed head's."""
    published = store.newest_publication()
    if published is not None and position < published[0]:
        return published
    head = store.head()
    if head is None or position >= head.size:
        raise NotFound
    return head.size, head.checkpoint


def published_checkpoint(store: Store, size: int) -> tuple[int, bytes]:
    """Size and text of the checkpoint that was published of that size; raises BeyondTheLog, which
    names the sizes around it, when none was."""
    published = store.published_at(size)
    if published.checkpoint is not None:
        return size, published.checkpoint
    around = {"published_before": published.before, "published_after": published.after}
    raise BeyondTheLog(
        "No checkpoint of that size was published. Ask for one of the sizes published before and "
        "after it, or leave it out: the bundle is then made against the newest checkpoint.",
        [FieldError("?at", "is not the size of a published checkpoint")],
        {name: size for name, size in around.items() if size is not None},
    )


def stream_members(
    store: Store,
    stored: Sequence[StoredEntry],
    disclosures: Mapping[int, Sequence[str]],
    against: tuple[int, bytes] | None = None,
) -> tuple[int, bytes, list[tuple[str, bytes]]]:
    """The members of a bundle of one stream's entries, with these disclosure texts by position, and
    before them the size of the tree, and its checkpoint: the one to be `against`, or the newest."""
    positions = [entry.position for entry in stored]
    size, checkpoint = against or covering_checkpoint(store, positions[-1])
    opened = Checkpoint.parse(Note.parse(checkpoint).text)
    registrations = _registrations(store, {entry.type for entry in stored}, size)
    included = sorted({e.position: e for e in [*registrations, *stored]}.items())
    node = nodes(store.cells)
    manifest = CaseManifest(
        opened.origin,
        stored[0].stream,
        size,
        tuple(positions),
        tuple(entry.position for entry in registrations),
    )
    members: list[tuple[str, bytes]] = [(MANIFEST, manifest.encode()), (CHECKPOINT, checkpoint)]
    for position, entry in included:
        members.append((entry_name(position), entry.raw))
        proof = encode_proof(prove_inclusion(position, size, node))
        members.append((proof_name(position), proof))
    members += [
        (disclosures_name(position), encode_disclosures(texts))
        for position, texts in disclosures.items()
        if texts
    ]
    return size, checkpoint, members


def packed(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A bundle of these members."""
    file = io.BytesIO()
    write_bundle(file, sorted(members))
    return file.getvalue()


def _registrations(store: Store, types: set[str], size: int) -> list[StoredEntry]:
    """`ledger.opened` and the registrations of these types among the first `size` entries."""
    needed = store.entries(0, 1)
    start = 0
    while found := store.entries(start, 1000, [SCHEMA_REGISTERED]):
        for entry in found:
            if entry.position < size and orjson.loads(entry.raw)["data"]["type"] in types:
                needed.append(entry)
        start = found[-1].position + 1
    return needed
