"""Attacks on the entries of a log in the database, and on the whole of it."""

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

from ledger.store.records import ATTRIBUTION, ERASURE, SUBJECT
from ledger.store.rows import id_bytes
from ledger_verifier.formats.disclosure import Disclosure, b64url
from ledger_verifier.formats.entry import canonical, link_hash
from tests.tamper import forge
from tests.tamper.database import Stored
from tests.tamper.forge import Signing
from tests.tamper.matrix import Attacks, Expected

ATTACKS = Attacks()

GUARD = r"the guard's checkpoint"
CONTRADICTS_GUARD = rf"(entries are not those of|different roots: ).*{GUARD}"


@ATTACKS.kind("one byte of an entry changed")
def byte(stored: Stored, random: Random) -> Expected:
    at = random.randrange(stored.size)
    stored.set_entry(at, forge.flipped(stored.subject.entries[at], random))
    return Expected(at)


@ATTACKS.kind("two entries swapped")
def swap(stored: Stored, random: Random) -> Expected:
    one, other = sorted(random.sample(range(stored.size), 2))
    if random.random() < 0.5:
        other = one + 1
    if random.random() < 0.5:
        stored.set_entry(one, stored.subject.entries[other])
        stored.set_entry(other, stored.subject.entries[one])
    else:
        change = f"UPDATE entries SET {stored.place} = ? WHERE {stored.place} = ?"
        for new, old in ((-1, one + 1), (one + 1, other + 1), (other + 1, -1)):
            stored.run(change, new, old)
    return Expected(one)


@ATTACKS.kind("an entry inserted")
def insert(stored: Stored, random: Random) -> Expected:
    at = random.randrange(1, stored.size)
    entry = orjson.loads(stored.subject.entries[at])
    entry["id"], entry["nonce"] = forge.random_uuid(random), forge.random_nonce(random)
    stored.shift(at, 1)
    stored.insert_entry(at, canonical(entry), version=10_000)
    return Expected(at)


@ATTACKS.kind("an entry duplicated")
def duplicate(stored: Stored, random: Random) -> Expected:
    at = random.randrange(1, stored.size)
    stored.shift(at, 1)
    stored.insert_entry(at, stored.subject.entries[random.randrange(at)], version=10_000)
    return Expected(at)


@ATTACKS.kind("an entry removed")
def remove(stored: Stored, random: Random) -> Expected:
    at = random.randrange(stored.size)
    stored.run(f"DELETE FROM entries WHERE {stored.place} = ?", at + 1)
    if random.random() < 0.5:
        stored.shift(at + 1, -1)
    return Expected(at)


def _edited(edit: forge.Edit) -> Callable[[Stored, Random], Expected]:
    """The entry edited, its leaf cell with it, and in half of the cases what stands beside it."""

    def play(stored: Stored, random: Random) -> Expected:
        at = random.randrange(1, stored.size)
        values = stored.subject.values
        stream, then = forge.stream_of(values[at]), forge.next_in_stream(values, at)
        edit(values, at, random)
        raw = canonical(values[at])
        stored.set_entry(at, raw)
        stored.set_leaf(at, raw)
        if random.random() < 0.5:
            if forge.stream_of(values[at]) == stream:
                stored.set_columns(at, values[at])
            stored.run(
                "UPDATE duplicates SET id = ? WHERE position = ?", id_bytes(values[at]["id"]), at
            )
        return Expected(at, narrowed=True, then=then)

    return play


ATTACKS.kind("id changed, leaf cell with it")(_edited(forge.edit_id))
ATTACKS.kind("time changed, leaf cell with it")(_edited(forge.edit_time))
ATTACKS.kind("version changed, leaf cell with it")(_edited(forge.edit_version))
ATTACKS.kind("stream changed, leaf cell with it")(_edited(forge.edit_stream))


@ATTACKS.kind("tail cut off, older signed head put back")
def cut(stored: Stored, random: Random) -> Expected:
    kept = random.choice([True, False])
    size, checkpoint = _older(stored, random)
    _cut(stored, size, checkpoint)
    if not kept:
        stored.run("DELETE FROM publications WHERE size > ?", size)
    return Expected(size, words="tail is cut off")


@ATTACKS.kind("tail cut off and the guard set back")
def cut_with_guard(stored: Stored, random: Random) -> Expected:
    size, checkpoint = _older(stored, random)
    _cut(stored, size, checkpoint)
    stored.set_guard(checkpoint)
    sizes = stored.all("SELECT MIN(seq) FROM publications WHERE size > ?", size)
    return Expected(words=rf"^publication {sizes[0][0]}: is of \d+ entries, the log has {size}$")


def _older(stored: Stored, random: Random) -> tuple[int, bytes]:
    """A checkpoint that the log really signed, after its last erasure."""
    erased = stored.all("SELECT MAX(position) FROM destroyed_keys")[0][0]
    older = [p for p in stored.subject.publications if erased < p[0] < stored.size]
    return random.choice(older)


def _cut(stored: Stored, size: int, checkpoint: bytes) -> None:
    """What the database held when it had so many entries."""
    stored.run(f"DELETE FROM entries WHERE {stored.place} > ?", size)
    for table in ("sealed", "duplicates", "destroyed_keys"):
        stored.run(f"DELETE FROM {table} WHERE position >= ?", size)
    for level in range(8):
        stored.run("DELETE FROM cells WHERE level = ? AND idx >= ?", level, size >> 8 * level)
    heads: dict[str, dict[str, Any]] = {}
    keys = _keys(stored)
    for position, raw in enumerate(stored.subject.entries[:size]):
        entry = orjson.loads(raw)
        stream = forge.stream_of(entry)
        current = {**heads.get(stream, {}), **keys.get(position, {})}
        if entry["type"] == ERASURE:
            current.pop(SUBJECT, None)
        heads[stream] = {**current, "version": entry["stream"]["version"], "link": link_hash(raw)}
    for (stream,) in stored.all("SELECT stream FROM stream_heads"):
        if stream not in heads:
            stored.run("DELETE FROM stream_heads WHERE stream = ?", stream)
    stored.rows.executemany(
        "UPDATE stream_heads SET version = ?, link = ?, subject_key = ?, attribution_key = ?"
        " WHERE stream = ?",
        [
            (h["version"], h["link"], h.get(SUBJECT), h.get(ATTRIBUTION), stream)
            for stream, h in heads.items()
        ],
    )
    stored.set_head(stored.subject.entries[:size], checkpoint)


def _keys(stored: Stored) -> dict[int, dict[str, bytes]]:
    """The ids of the keys that each entry's fields are under, by class."""
    keys: dict[int, dict[str, bytes]] = {}
    for row in stored.sealed():
        keys.setdefault(row.position, {})[row.key_class] = id_bytes(row.key_id)
    return keys


@ATTACKS.kind("whole log replaced, signed by another key")
def replaced_by_stranger(stored: Stored, random: Random) -> Expected:
    _replace(stored, Signing.false(stored.directory.origin), random)
    return Expected(words="^checkpoint: ")


@ATTACKS.kind("whole log replaced, signed by the real key")
def replaced_by_operator(stored: Stored, random: Random) -> Expected:
    _replace(stored, stored.signing, random)
    return Expected(words=CONTRADICTS_GUARD)


def _replace(stored: Stored, signing: Signing, random: Random) -> None:
    values = stored.subject.values
    for entry in values:
        entry["nonce"] = forge.random_nonce(random)
    values[0]["data"]["keys"] = signing.vkeys
    stored.rewrite(forge.rechained(values), signing, guard=False)


@ATTACKS.kind("entry changed, the whole tree rewritten and signed by the real key")
def rewrite(stored: Stored, random: Random) -> Expected:
    """Against what the guard remembers, which may be less than the whole log."""
    values = stored.subject.values
    at = random.randrange(1, stored.size)
    forge.edit_content(values, at, random)
    stored.rewrite(forge.rechained(values), stored.signing, guard=False)
    stored.set_guard(random.choice([raw for size, raw in stored.subject.publications if size > at]))
    return Expected(words=CONTRADICTS_GUARD)


@ATTACKS.kind("the same, and the guard too: against the publications")
def rewrite_with_guard(stored: Stored, random: Random) -> Expected:
    values = stored.subject.values
    at = random.randrange(1, stored.size)
    forge.edit_content(values, at, random)
    entries = forge.rechained(values)
    stored.set_entries(entries)
    stored.set_tree(entries, stored.signing)
    stored.set_guard(stored.signing.issued(len(entries), forge.root(entries)))
    seq = stored.all("SELECT MIN(seq) FROM publications WHERE size > ?", at)[0][0]
    return Expected(words=f"^publication {seq}: has another root")


@ATTACKS.kind("a second genesis, everything rewritten and signed, guard and all")
def genesis(stored: Stored, random: Random) -> Expected:
    values = stored.subject.values
    at = random.randrange(1, stored.size)
    values.insert(at, forge.second_genesis(values, at, stored.signing, random))
    entries = forge.rechained(values)
    stored.shift(at, 1, everywhere=True)
    forged = orjson.loads(entries[at])
    stored.insert_entry(at, entries[at], version=10_000)
    stored.run(
        "INSERT INTO duplicates (source, id, position) VALUES (?, ?, ?)",
        forged["source"],
        id_bytes(forged["id"]),
        at,
    )
    stored.run(
        "INSERT INTO stream_heads (stream, version, link, hub, organisation)"
        " VALUES (?, 0, ?, ?, ?) ON CONFLICT (stream) DO NOTHING",
        forge.stream_of(forged),
        bytes(32),
        forged["hub"],
        forged["organisation"],
    )
    stored.forge(entries)
    stored.set_columns(at, forged)
    return Expected(at, words="a second ledger.opened", alone=True)


@ATTACKS.kind("a salt reused, everything rewritten and signed, guard and all")
def salt(stored: Stored, random: Random) -> Expected:
    """By someone who holds the vault's keys too: nothing is out of place but the salt."""
    rows = [row for row in stored.sealed() if row.key_class == SUBJECT]
    values = stored.subject.values
    one, other = sorted(random.sample(rows, 2), key=lambda row: row.position)
    if random.random() < 0.5:
        # The whole disclosure twice, as for two entries of one type about one fact.
        kind = values[one.position]["type"]
        same = [r for r in rows if values[r.position]["type"] == kind and r != one]
        one, other = sorted([one, random.choice(same)], key=lambda row: row.position)
    used, opened = random.choice(stored.opened(one)), stored.opened(other)
    number = next((n for n, d in enumerate(opened) if d.name == used.name), 0)
    old, whole = opened[number], opened[number].name == used.name
    value = used.value if whole else old.value
    text = b64url(canonical([used.salt, old.name, value]))
    opened[number] = Disclosure.parse(text)
    digests = set(values[other.position]["data"]["_sd"]) - {old.digest} | {opened[number].digest}
    values[other.position]["data"]["_sd"] = sorted(digests)
    stored.set_sealed(stored.resealed(other, opened))
    stored.forge(forge.rechained(values))
    return Expected(other.position, words="a reused salt|a salt of the entry")
