"""Attacks on the tables beside the log: columns, cells, sealed rows, stream heads, ids."""

from dataclasses import replace
from random import Random
from uuid import UUID

import orjson

from ledger.log.restored import sign_loss
from ledger.store.lost import SIGNATURE_BYTES, LossNote, note_lost
from ledger.store.records import SUBJECT, SealedRow
from ledger.store.rows import id_bytes
from ledger_verifier.meaning.schemas import Lost
from tests.tamper import forge
from tests.tamper.database import Stored
from tests.tamper.forge import Signing
from tests.tamper.matrix import Attacks, Expected

ATTACKS = Attacks()


@ATTACKS.kind("a column beside an entry changed")
def column(stored: Stored, random: Random) -> Expected:
    at = random.randrange(stored.size)
    name, value = random.choice(
        [
            ("originator_id", f"case/{forge.random_uuid(random)}"),
            ("originator_version", random.randrange(1000, 9999)),
            ("topic", "case.reopened"),
        ]
    )
    stored.run(f"UPDATE entries SET {name} = ? WHERE {stored.place} = ?", value, at + 1)
    return Expected(at, words="the columns beside its bytes")


@ATTACKS.kind("a cell of a tile changed or removed, but no entry")
def cell(stored: Stored, random: Random) -> Expected:
    level = random.choice([0, 0, 1])
    index = random.randrange(stored.size >> 8 * level)
    tile = forge.tile_of(level, index, stored.size)
    if random.random() < 0.3:
        stored.run("DELETE FROM cells WHERE level = ? AND idx = ?", level, index)
        return Expected(tile=tile.path, words="^1 cells are missing")
    stored.run(
        "UPDATE cells SET hash = ? WHERE level = ? AND idx = ?",
        forge.hash_of(random),
        level,
        index,
    )
    return Expected(tile=tile.path, words=f"^cell {index - tile.start} is not the hash")


@ATTACKS.kind("sealed rows swapped")
def swap_sealed(stored: Stored, random: Random) -> Expected:
    one, other = random.sample(stored.sealed(), 2)
    stored.set_sealed(_moved(other, one))
    stored.set_sealed(_moved(one, other))
    return Expected(min(one.position, other.position))


def _moved(row: SealedRow, to: SealedRow) -> SealedRow:
    return SealedRow(to.position, to.key_class, row.key_id, row.ciphertext)


@ATTACKS.kind("a sealed row removed")
def remove_sealed(stored: Stored, random: Random) -> Expected:
    row = random.choice(stored.sealed())
    stored.run(
        "DELETE FROM sealed WHERE position = ? AND key_class = ?", row.position, row.key_class
    )
    return Expected(row.position)


@ATTACKS.kind("a sealed row removed, and noted as lost with a restore")
def lost_sealed(stored: Stored, random: Random) -> Expected:
    """In the name of the log's key, which has signed such a note for another size alone."""
    row = random.choice(stored.sealed())
    stored.run(
        "DELETE FROM sealed WHERE position = ? AND key_class = ?", row.position, row.key_class
    )
    lost = Lost(row.key_class, row.position, row.position, 1, row.position, stored.size)
    earlier = replace(lost, log_size=random.randrange(row.position + 1, stored.size + 1) - 1)
    note = random.choice(
        [
            LossNote(lost, random.randbytes(SIGNATURE_BYTES)),
            LossNote(lost, sign_loss(stored.signing.ed25519, earlier).signature),
            sign_loss(stored.signing.ed25519, earlier),
            sign_loss(Signing.false(stored.directory.origin).ed25519, lost),
        ]
    )
    note_lost(stored.rows, note)
    return Expected(row.position)


@ATTACKS.kind("a sealed row edited")
def edit_sealed(stored: Stored, random: Random) -> Expected:
    row = random.choice(stored.sealed())
    if random.random() < 0.7:
        changed = SealedRow(
            row.position, row.key_class, row.key_id, forge.flipped(row.ciphertext, random)
        )
    else:
        others = {other.key_id for other in stored.sealed()} - {row.key_id}
        key_id = random.choice([*sorted(others), forge.random_uuid(random)])
        changed = SealedRow(row.position, row.key_class, key_id, row.ciphertext)
    stored.set_sealed(changed)
    return Expected(row.position)


@ATTACKS.kind("a sealed row added, or one that was erased put back")
def add_sealed(stored: Stored, random: Random) -> Expected:
    row = random.choice(stored.sealed())
    erased = stored.all("SELECT key_id, position FROM destroyed_keys ORDER BY position")
    key_id, at = random.choice(erased)
    stream = orjson.loads(stored.subject.entries[at])["stream"]["id"]
    gone = [
        position
        for position, raw in enumerate(stored.subject.entries[:at])
        if orjson.loads(raw)["stream"]["id"] == stream
    ]
    choices = [
        (random.randrange(1, 20), SUBJECT, row.key_id),
        (row.position, "other", row.key_id),
        (random.randrange(stored.size, 2**40), SUBJECT, row.key_id),
        (-random.randrange(1, 1000), SUBJECT, row.key_id),
        (gone[0], SUBJECT, str(UUID(bytes=bytes(key_id)))),
    ]
    position, key_class, key = random.choice(choices)
    stored.run(
        "INSERT INTO sealed (position, key_class, key_id, ciphertext) VALUES (?, ?, ?, ?)",
        position,
        key_class,
        id_bytes(key),
        row.ciphertext,
    )
    return Expected(position)


@ATTACKS.kind("a disclosure moved to another entry, sealed anew with the vault's keys")
def move_disclosure(stored: Stored, random: Random) -> Expected:
    one, other = random.sample([r for r in stored.sealed() if r.key_class == SUBJECT], 2)
    opened = stored.opened(other)
    opened[random.randrange(len(opened))] = random.choice(stored.opened(one))
    stored.set_sealed(stored.resealed(other, opened))
    return Expected(other.position, words="not those it committed to")


@ATTACKS.kind("a stream head changed or removed")
def stream_head(stored: Stored, random: Random) -> Expected:
    at = random.choice(_ends(stored))
    stream = forge.stream_of(orjson.loads(stored.subject.entries[at]))
    changes = {
        "version": random.randrange(1000, 2000),
        "link": forge.hash_of(random),
        "hub": "E09000001",
        "organisation": "another-council",
        "subject_key": random.randbytes(16),
        "attribution_key": random.randbytes(16),
    }
    name = random.choice([*changes, ""])
    if name:
        stored.run(f"UPDATE stream_heads SET {name} = ? WHERE stream = ?", changes[name], stream)
    else:
        stored.run("DELETE FROM stream_heads WHERE stream = ?", stream)
    return Expected(at, words="the stream's stored head")


def _ends(stored: Stored) -> list[int]:
    """The position of the last entry of every stream."""
    ends: dict[str, int] = {}
    for position, entry in enumerate(stored.subject.values):
        ends[forge.stream_of(entry)] = position
    return list(ends.values())


@ATTACKS.kind("a row of the table of ids changed or removed")
def ids(stored: Stored, random: Random) -> Expected:
    at = random.randrange(stored.size)
    change = random.choice(
        [
            "DELETE FROM duplicates WHERE position = ?",
            f"UPDATE duplicates SET position = {stored.size + 5} WHERE position = ?",
            "UPDATE duplicates SET source = 'another-source' WHERE position = ?",
        ]
    )
    stored.run(change, at)
    if change.startswith("DELETE"):
        # The number of rows stays right.
        stored.run(
            "INSERT INTO duplicates (source, id, position) VALUES ('x-system', ?, ?)",
            random.randbytes(16),
            at,
        )
    return Expected(at, words="the table of ids")


@ATTACKS.kind("a destroyed key forgotten, added or blamed on another entry")
def destroyed(stored: Stored, random: Random) -> Expected:
    key_id, at = random.choice(stored.all("SELECT key_id, position FROM destroyed_keys"))
    choice = random.randrange(4)
    if choice == 0:
        stored.run("DELETE FROM destroyed_keys WHERE key_id = ?", key_id)
    elif choice == 1:
        stored.run("UPDATE destroyed_keys SET position = ? WHERE key_id = ?", at + 1, key_id)
    elif choice == 2:
        stream = f"case/{forge.random_uuid(random)}"
        stored.run("UPDATE destroyed_keys SET stream = ? WHERE key_id = ?", stream, key_id)
    else:
        at = random.randrange(stored.size)
        stored.run(
            "INSERT INTO destroyed_keys (key_id, stream, position) VALUES (?, ?, ?)",
            random.randbytes(16),
            f"case/{forge.random_uuid(random)}",
            at,
        )
    return Expected(at, words="the table of destroyed keys")


@ATTACKS.kind("a row too many in a table")
def surplus(stored: Stored, random: Random) -> Expected:
    number = random.randrange(stored.size, 2**40)
    table, columns, values = random.choice(
        [
            ("cells of the tree", "cells (level, idx, hash)", [3, number, forge.hash_of(random)]),
            (
                "rows in the table of ids",
                "duplicates (source, id, position)",
                ["x-system", random.randbytes(16), number],
            ),
            (
                "stream heads",
                "stream_heads (stream, version, link, hub, organisation)",
                [f"case/{forge.random_uuid(random)}", 1, forge.hash_of(random), "central", "x-y"],
            ),
        ]
    )
    stored.run(f"INSERT INTO {columns} VALUES ({', '.join('?' * len(values))})", *values)
    if random.random() < 0.3:
        stored.insert_entry(number % 2**20 + stored.size, stored.subject.entries[0], version=10_000)
        table = "entries"
    return Expected(words=rf"^there are \d+ {table} where the log has \d+")


@ATTACKS.kind("a value of another type or length")
def shape(stored: Stored, random: Random) -> Expected:
    choices: list[tuple[str, str, object]] = [
        ("sealed", "key_id", random.randbytes(random.randrange(16))),
        ("stream_heads", "subject_key", random.randbytes(17)),
        ("cells", "hash", random.randbytes(random.randrange(32))),
        ("head", "root", random.randbytes(33)),
    ]
    if stored.directory.embedded:
        choices += [
            ("entries", "state", "text"),
            ("entries", "originator_version", "many"),
            ("publications", "checkpoint", random.randrange(2**40)),
            ("head", "size", random.randbytes(8)),
            ("duplicates", "position", 1.5),
            ("sealed", "ciphertext", "text"),
        ]
    table, name, value = random.choice(choices)
    at, key, row = _some_row(stored, table, random)
    stored.run(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", value, row)
    return Expected(at, words=rf"^{table}\.{name} does not hold what belongs there")


def _some_row(stored: Stored, table: str, random: Random) -> tuple[int | None, str, object]:
    """The position that a row of a table belongs to, if any, and what tells the row."""
    at = random.choice(stored.sealed()).position
    if table == "entries":
        return at, stored.place, at + 1
    if table in ("sealed", "duplicates"):
        return None if table == "duplicates" else at, "position", at
    if table == "stream_heads":
        return None, "stream", forge.stream_of(orjson.loads(stored.subject.entries[at]))
    return None, {"head": "one", "cells": "level", "publications": "seq"}[table], 1
