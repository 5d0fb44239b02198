"""Attacks on a log of which streams have expired: what is gone without a word, what comes back."""

from random import Random
from typing import Any

import orjson

from ledger.log.restored import sign_expiry
from ledger.store.expiry import note_restored
from ledger.store.records import SUBJECT
from ledger.store.rows import id_bytes
from ledger_verifier.formats.entry import canonical
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.meaning.expiry import spans_from
from tests.tamper import forge
from tests.tamper.database import Stored
from tests.tamper.expired import explaining, living
from tests.tamper.matrix import Attacks, Expected
from tests.tamper.served import KEPT, Served
from tests.verifier.audit.world import tree_members

#: Of a bundle; of the database.
ATTACKS = Attacks()
STORED_ATTACKS = Attacks()

UNEXPLAINED = "absent without an entry that explains it"


def _alive(stage: Served | Stored, random: Random) -> int:
    """An entry of a stream that has not expired."""
    return random.choice([p for of in living(stage.subject.entries).values() for p in of])


@ATTACKS.kind("an entry's bytes removed, and nothing says so")
def removed(served: Served, random: Random) -> Expected:
    at = _alive(served, random)
    served.set_entry(at, b"")
    return Expected(at, words=UNEXPLAINED, alone=True)


@ATTACKS.kind("a whole stream removed, and nothing says so")
def stream_removed(served: Served, random: Random) -> Expected:
    positions = random.choice(list(living(served.subject.entries).values()))
    for at in positions:
        served.set_entry(at, b"")
    return Expected(positions[0], words=UNEXPLAINED)


@ATTACKS.kind("the entry that says what has expired removed")
def unexplained(served: Served, random: Random) -> Expected:
    """Everything it spoke for is then gone without a word, from the first."""
    served.set_entry(explaining(served.subject.entries), b"")
    return Expected(min(served.subject.was), words=UNEXPLAINED)


@ATTACKS.kind("an entry that expired given its bytes again")
def back(served: Served, random: Random) -> Expected:
    at = random.choice(sorted(served.subject.was))
    served.set_entry(at, served.subject.was[at])
    return Expected(at, words="bytes are there")


@ATTACKS.kind("an entry that expired given other bytes")
def other(served: Served, random: Random) -> Expected:
    at = random.choice(sorted(served.subject.was))
    raw = served.subject.was[random.choice(sorted(set(served.subject.was) - {at}))]
    served.set_entry(at, forge.flipped(raw, random) if random.random() < 0.5 else raw)
    return Expected(at)


@ATTACKS.kind("the leaf under an expired position changed")
def leaf(served: Served, random: Random) -> Expected:
    at = random.choice(sorted(served.subject.was))
    served.set_cell(0, at, forge.hash_of(random))
    return Expected(at, narrowed=True)


def _spoken(served: Served, random: Random) -> tuple[int, list[int], bytes]:
    """The entry that says what has expired, made to speak for one more whole stream; its
    position, those of the other stream, and its bytes."""
    at = explaining(served.subject.entries)
    entry = orjson.loads(served.subject.entries[at])
    streams = living(served.subject.entries).values()
    more = random.choice([positions for positions in streams if positions[-1] < at])
    said = spans_from(sorted({*served.subject.was, *more}))
    entry["data"]["spans"] = [end for span in said for end in span]
    return at, more, canonical(entry)


@ATTACKS.kind("spans altered to hold another stream, which stays or is removed")
def spans(served: Served, random: Random) -> Expected:
    at, more, raw = _spoken(served, random)
    served.set_entry(at, raw)
    if random.random() < 0.5:
        return Expected(more[0], words="bytes are there")
    for position in more:
        served.set_entry(position, b"")
    return Expected(at, words="not the entry that the signed root has")


@ATTACKS.kind("spans altered to leave out some that expired")
def less(served: Served, random: Random) -> Expected:
    at = explaining(served.subject.entries)
    entry = orjson.loads(served.subject.entries[at])
    number = random.randrange(len(entry["data"]["spans"]) // 2)
    first = entry["data"]["spans"][2 * number]
    del entry["data"]["spans"][2 * number : 2 * number + 2]
    served.set_entry(at, canonical(entry))
    return Expected(first, words=UNEXPLAINED)


@ATTACKS.kind("an expiry forged over another stream, signed by the real key: against checkpoints")
def forged(served: Served, random: Random) -> Expected:
    """With everything rewritten, and the stream's bytes gone as it says."""
    at, more, raw = _spoken(served, random)
    was: list[Any] = [
        orjson.loads(served.subject.was.get(p, e)) for p, e in enumerate(served.entries())
    ]
    was[at] = orjson.loads(raw)
    whole = forge.rechained(was)
    served.members = {**tree_members(whole), "checkpoint": _published(served, whole)}
    for position in (*served.subject.was, *more):
        served.set_entry(position, b"")
    return Expected(at, narrowed=True, words=rf"not those of {KEPT}")


def _published(served: Served, entries: list[bytes]) -> bytes:
    return served.signing.published(len(entries), forge.root(entries))


@STORED_ATTACKS.kind("an entry's row removed, and nothing says so")
def row_removed(stored: Stored, random: Random) -> Expected:
    at = _alive(stored, random)
    stored.run(f"DELETE FROM entries WHERE {stored.place} = ?", at + 1)
    return Expected(at)


@STORED_ATTACKS.kind("a whole stream's rows removed, and nothing says so")
def rows_removed(stored: Stored, random: Random) -> Expected:
    streams = living(stored.subject.entries)
    stream = random.choice(list(streams))
    for at in streams[stream]:
        stored.run(f"DELETE FROM entries WHERE {stored.place} = ?", at + 1)
        for table in ("sealed", "duplicates"):
            stored.run(f"DELETE FROM {table} WHERE position = ?", at)
    stored.run("DELETE FROM stream_heads WHERE stream = ?", stream)
    return Expected(streams[stream][0])


@STORED_ATTACKS.kind("an entry's row removed, and the store says that it has expired")
def row_expired(stored: Stored, random: Random) -> Expected:
    """The log does not say so: the table that the service looks things up in is no proof."""
    at = _alive(stored, random)
    stored.run(f"DELETE FROM entries WHERE {stored.place} = ?", at + 1)
    says = explaining(stored.subject.entries)
    stored.run("INSERT INTO expired (first, last, position) VALUES (?, ?, ?)", at, at, says)
    return Expected(at)


@STORED_ATTACKS.kind("an expired entry's row put back")
def row_back(stored: Stored, random: Random) -> Expected:
    at = random.choice(sorted(stored.subject.was))
    other = random.choice([at, *stored.subject.was])
    stored.insert_entry(at, stored.subject.was[other])
    return Expected(at)


@STORED_ATTACKS.kind("the stored spans of an expiry altered")
def stored_spans(stored: Stored, random: Random) -> Expected:
    first, _, says = random.choice(stored.all("SELECT first, last, position FROM expired"))
    choice = random.randrange(3)
    if choice == 0:
        stored.run("DELETE FROM expired WHERE first = ?", first)
    elif choice == 1:
        stored.run("UPDATE expired SET last = last + ? WHERE first = ?", 1, first)
    else:
        stored.run("UPDATE expired SET position = ? WHERE first = ?", says + 1, first)
    return Expected(says, words="the table of what has expired is not what this entry says")


@STORED_ATTACKS.kind("a tombstone removed or added")
def tombstone(stored: Stored, random: Random) -> Expected:
    marks = stored.all("SELECT mark FROM tombstones WHERE hub IS NULL")
    if random.random() < 0.5:
        stored.run("DELETE FROM tombstones WHERE mark = ?", random.choice(marks)[0])
    else:
        stored.run("INSERT INTO tombstones (mark) VALUES (?)", random.randbytes(16))
    return Expected(words="^there are \\d+ tombstones of entries where")


@STORED_ATTACKS.kind("a destroyed key of an expired stream forgotten, added or exchanged")
def keys(stored: Stored, random: Random) -> Expected:
    """Also with a note of a restore that knows not all, which the log's key signed for others."""
    says = explaining(stored.subject.entries)
    of = stored.all("SELECT key_id FROM destroyed_keys WHERE position = ?", says)
    live = stored.all("SELECT DISTINCT key_id FROM sealed ORDER BY key_id")
    (gone,), (lives,) = random.choice(sorted(of)), random.choice(live)
    choice = random.randrange(3)
    if choice != 0:
        stored.run(
            "INSERT INTO destroyed_keys (key_id, stream, position) VALUES (?, '', ?)", lives, says
        )
    if choice != 1:
        stored.run("DELETE FROM destroyed_keys WHERE key_id = ?", gone)
    if random.random() < 0.5:
        signature = sign_expiry(stored.signing.ed25519, says, forge.hash_of(random).hex())
        note_restored(stored.rows, says, signature)
    return Expected(says)


@STORED_ATTACKS.kind("a sealed row put under an expired position")
def sealed(stored: Stored, random: Random) -> Expected:
    at, row = random.choice(sorted(stored.subject.was)), random.choice(stored.sealed())
    stored.run(
        "INSERT INTO sealed (position, key_class, key_id, ciphertext) VALUES (?, ?, ?, ?)",
        at,
        SUBJECT,
        id_bytes(row.key_id),
        row.ciphertext,
    )
    return Expected(at)


@STORED_ATTACKS.kind("the leaf cell under an expired position changed")
def stored_leaf(stored: Stored, random: Random) -> Expected:
    at = random.choice(sorted(stored.subject.was))
    stored.run(
        "UPDATE cells SET hash = ? WHERE level = 0 AND idx = ?", leaf_hash(random.randbytes(9)), at
    )
    return Expected(at, narrowed=True)
