"""Attacks on a log in the form in which auditors get it: a bundle, or tiles over HTTP."""

from collections.abc import Callable
from random import Random

import orjson

from ledger_verifier.formats.entry import canonical
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.formats.tiles import decode_entries, encode_entries
from tests.tamper import forge
from tests.tamper.forge import Signing
from tests.tamper.matrix import Attacks, Expected
from tests.tamper.served import KEPT, Served
from tests.verifier.audit.world import tree_members

#: Of both; of a bundle alone; of a live log alone.
ATTACKS = Attacks()
BUNDLE_ATTACKS = Attacks()
HTTP_ATTACKS = Attacks()

CONTRADICTED = rf"^the first \d+ entries are not those of {KEPT}"


@ATTACKS.kind("one byte of an entry changed")
def byte(served: Served, random: Random) -> Expected:
    at = random.randrange(served.size)
    served.set_entry(at, forge.flipped(served.subject.entries[at], random))
    return Expected(at)


@ATTACKS.kind("two entries swapped")
def swap(served: Served, random: Random) -> Expected:
    one, other = sorted(random.sample(range(served.size), 2))
    if random.random() < 0.5:
        other = one + 1
    served.set_entry(one, served.subject.entries[other])
    served.set_entry(other, served.subject.entries[one])
    return Expected(one)


@ATTACKS.kind("an entry inserted")
def insert(served: Served, random: Random) -> Expected:
    at = random.randrange(1, served.size)
    entry = orjson.loads(served.subject.entries[at])
    entry["id"], entry["nonce"] = forge.random_uuid(random), forge.random_nonce(random)
    entries = served.entries()
    entries.insert(at, canonical(entry))
    served.set_entries(entries[: served.size])
    return Expected(at)


@ATTACKS.kind("an entry duplicated")
def duplicate(served: Served, random: Random) -> Expected:
    at = random.randrange(1, served.size)
    entries = served.entries()
    entries.insert(at, entries[random.randrange(at)])
    served.set_entries(entries[: served.size])
    return Expected(at)


@ATTACKS.kind("an entry removed")
def remove(served: Served, random: Random) -> Expected:
    at = random.randrange(served.size - 1)
    entries = served.entries()
    if random.random() < 0.5:
        entries[at] = b""
    else:
        entries = [*entries[:at], *entries[at + 1 :], entries[random.randrange(served.size)]]
    served.set_entries(entries)
    return Expected(at)


def _edited(edit: forge.Edit) -> Callable[[Served, Random], Expected]:
    """The entry edited, and its leaf cell with it."""

    def play(served: Served, random: Random) -> Expected:
        at = random.randrange(1, served.size)
        values = served.subject.values
        then = forge.next_in_stream(values, at)
        edit(values, at, random)
        raw = canonical(values[at])
        served.set_entry(at, raw)
        served.set_cell(0, at, leaf_hash(raw))
        return Expected(at, narrowed=True, then=then)

    return play


ATTACKS.kind("id changed, leaf cell with it")(_edited(forge.edit_id))
ATTACKS.kind("time changed, leaf cell with it")(_edited(forge.edit_time))
ATTACKS.kind("version changed, leaf cell with it")(_edited(forge.edit_version))
ATTACKS.kind("stream changed, leaf cell with it")(_edited(forge.edit_stream))


@ATTACKS.kind("entry changed, and every tile with it, under the old checkpoint")
def whole_tree(served: Served, random: Random) -> Expected:
    values = served.subject.values
    at = random.randrange(1, served.size)
    forge.edit_content(values, at, random)
    served.members |= tree_members(forge.rechained(values))
    return Expected(at, narrowed=True)


@ATTACKS.kind("a cell of a tile changed, but no entry")
def cell(served: Served, random: Random) -> Expected:
    level = random.choice([0, 0, 1])
    index = random.randrange(served.size >> 8 * level)
    served.set_cell(level, index, forge.hash_of(random))
    tile = forge.tile_of(level, index, served.size)
    return Expected(tile=tile.path, words=f"^cell {index - tile.start} is not the hash")


@ATTACKS.kind("entry bundle cut short")
def short_bundle(served: Served, random: Random) -> Expected:
    at = random.choice([0, 256, 512])
    tile = forge.tile_of(None, at, served.size)
    entries = decode_entries(served.members[tile.path], tile.width)
    served.members[tile.path] = encode_entries(entries[: random.randrange(1, tile.width)])
    return Expected(at, tile=tile.path, words="does not hold exactly")


@ATTACKS.kind("whole log replaced, signed by another key")
def replaced_by_stranger(served: Served, random: Random) -> Expected:
    _replace(served, Signing.false(served.subject.directory.origin), random)
    return Expected(words="^checkpoint: ")


@ATTACKS.kind("whole log replaced, signed by the real key: against a checkpoint kept")
def replaced_by_operator(served: Served, random: Random) -> Expected:
    _replace(served, served.signing, random)
    return Expected(words=CONTRADICTED)


@ATTACKS.kind("whole log replaced, signed by the real key: against a receipt")
def replaced_against_receipt(served: Served, random: Random) -> Expected:
    _replace(served, served.signing, random)
    served.earlier = [random.choice(list(served.subject.receipts.values()))]
    return Expected(words=CONTRADICTED + "|^two signed checkpoints of size")


def _replace(served: Served, signing: Signing, random: Random) -> None:
    values = served.subject.values
    for entry in values:
        entry["nonce"] = forge.random_nonce(random)
    values[0]["data"]["keys"] = signing.vkeys
    served.rewrite(forge.rechained(values), signing)


def _rewritten(served: Served, at: int, random: Random) -> None:
    """One entry changed, and everything that follows from it, signed by the real key."""
    values = served.subject.values
    forge.edit_content(values, at, random)
    served.rewrite(forge.rechained(values), served.signing)


@ATTACKS.kind("tree rewritten and signed by the real key: against checkpoints kept")
def rewritten(served: Served, random: Random) -> Expected:
    last = max(size for size, _ in served.subject.publications[:-1])
    at = random.randrange(1, last)
    _rewritten(served, at, random)
    return Expected(at, narrowed=True, words=CONTRADICTED)


@ATTACKS.kind("tree rewritten and signed by the real key: against a receipt")
def rewritten_against_receipt(served: Served, random: Random) -> Expected:
    position, receipt = random.choice(list(served.subject.receipts.items()))
    at = random.randrange(1, position + 1)
    _rewritten(served, at, random)
    served.earlier = [receipt]
    return Expected(words=CONTRADICTED + "|^two signed checkpoints of size")


@ATTACKS.kind("two checkpoints of one size, both signed by the real key")
def two_of_one_size(served: Served, random: Random) -> Expected:
    size = served.size
    if random.random() < 0.5:
        size = random.choice(served.subject.publications)[0]
        served.earlier.append(served.signing.issued(size, forge.root(served.entries()[:size])))
    served.earlier.append(served.signing.issued(size, forge.hash_of(random)))
    return Expected(words=rf"^two signed checkpoints of size {size} have different roots")


@ATTACKS.kind("a second genesis, everything rewritten and signed")
def genesis(served: Served, random: Random) -> Expected:
    values = served.subject.values
    at = random.randrange(1, served.size)
    values.insert(at, forge.second_genesis(values, at, served.signing, random))
    served.forge(forge.rechained(values))
    return Expected(at, words="a second ledger.opened", alone=True)


@ATTACKS.kind("a digest or an id used twice, everything rewritten and signed")
def used_twice(served: Served, random: Random) -> Expected:
    values = served.subject.values
    kind = random.choice(["case.closed", "data.disclosed", "subject.notified"])
    places = [n for n, entry in enumerate(values) if entry["type"] == kind]
    one, at = sorted(random.sample(places, 2))
    if random.random() < 0.5:
        values[at]["id"] = values[one]["id"]
    else:
        used, digests = random.choice(values[one]["data"]["_sd"]), values[at]["data"]["_sd"]
        values[at]["data"]["_sd"] = sorted({used, *digests[1:]})
    served.forge(forge.rechained(values))
    return Expected(at, words=f"the entry at position {one}( |$)", alone=True)


@HTTP_ATTACKS.kind("tail cut off: an older checkpoint and all that belongs to it")
def cut(served: Served, random: Random) -> Expected:
    *older, newest = served.subject.publications
    size, checkpoint = random.choice(older)
    members = tree_members(served.subject.entries[:size])
    served.members = {**members, "checkpoint": checkpoint}
    served.earlier = [newest[1]] if random.random() < 0.5 else [_last_receipt(served)]
    return Expected(size, words="its tail is cut off or withheld")


def _last_receipt(served: Served) -> bytes:
    return served.subject.receipts[max(served.subject.receipts)]


@HTTP_ATTACKS.kind("a tile or an entry bundle withheld")
def withheld(served: Served, random: Random) -> Expected:
    path = random.choice(sorted(set(served.members) - {"checkpoint"}))
    del served.members[path]
    return Expected(tile=path, words="the log does not serve this")


@BUNDLE_ATTACKS.kind("a tile or an entry bundle longer or shorter than it is")
def length(served: Served, random: Random) -> Expected:
    path = random.choice(sorted(set(served.members) - {"checkpoint"}))
    data = served.members[path]
    cut_ = data[: random.randrange(len(data))]
    served.members[path] = random.choice([data + random.randbytes(32), cut_])
    return Expected(tile=path)
