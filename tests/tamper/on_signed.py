"""Attacks on what is signed, the head and the publications, and on what is beside the event store:
the guard, the signing keys, the key store."""

from random import Random
from uuid import UUID

from ledger.log.guard import SLOT
from ledger.store.records import SUBJECT
from tests.tamper import forge
from tests.tamper.database import Stored, seconds
from tests.tamper.forge import Signing
from tests.tamper.matrix import Attacks, Expected
from tests.tamper.on_entries import CONTRADICTS_GUARD

ATTACKS = Attacks()


@ATTACKS.kind("the head row changed")
def head_row(stored: Stored, random: Random) -> Expected:
    edge, recorded_at = stored.all("SELECT edge, recorded_at FROM head")[0]
    changes = {
        "size": stored.size + random.randrange(1, 1000),
        "root": forge.hash_of(random),
        "edge": forge.flipped(bytes(edge), random),
        "recorded_at": f"{random.randrange(2030, 9999)}{recorded_at[4:]}",
    }
    name = random.choice(sorted(changes))
    stored.run(f"UPDATE head SET {name} = ?", changes[name])
    words = {
        "edge": "^the stored right edge of the tree",
        "recorded_at": "^the head row's time",
    }
    return Expected(words=words.get(name, "^the head row is not what its checkpoint signs"))


@ATTACKS.kind("the head's checkpoint changed: signature, size, root or origin")
def head_checkpoint(stored: Stored, random: Random) -> Expected:
    (raw,) = stored.all("SELECT checkpoint FROM head")[0]
    stored.run("UPDATE head SET checkpoint = ?", _spoiled(bytes(raw), stored.size, random))
    return Expected(words="^the head's checkpoint: ")


def _spoiled(raw: bytes, size: int, random: Random) -> bytes:
    """A checkpoint that its signatures do not go with."""
    choice = random.randrange(4)
    if choice == 0:
        return forge.flipped_signature(raw, random)
    if choice == 1:
        return forge.resaid(raw, size=size + random.randrange(1, 100))
    if choice == 2:
        return forge.resaid(raw, root=forge.hash_of(random))
    return forge.resaid(raw, origin="ledger.test/another")


@ATTACKS.kind("a publication changed: signature, size, root, origin or time")
def publication(stored: Stored, random: Random) -> Expected:
    seq, size, raw, at = random.choice(_publications(stored))
    choice = random.randrange(4)
    if choice == 0:
        stored.run("UPDATE publications SET size = ? WHERE seq = ?", size + 1, seq)
    elif choice == 1:
        later = f"{int(at[:4]) + 1}{at[4:]}"
        stored.run("UPDATE publications SET published_at = ? WHERE seq = ?", later, seq)
    else:
        spoiled = _spoiled(raw, size, random)
        stored.run("UPDATE publications SET checkpoint = ? WHERE seq = ?", spoiled, seq)
    return Expected(words=f"^publication {seq}: ")


def _publications(stored: Stored) -> list[tuple[int, int, bytes, str]]:
    found = stored.all("SELECT seq, size, checkpoint, published_at FROM publications ORDER BY seq")
    return [(seq, size, bytes(raw), at) for seq, size, raw, at in found]


@ATTACKS.kind("a publication without its second signature")
def one_signature(stored: Stored, random: Random) -> Expected:
    seq, size, _, _ = random.choice(_publications(stored))
    checkpoint = stored.signing.issued(size, forge.root(stored.subject.entries[:size]))
    stored.run("UPDATE publications SET checkpoint = ? WHERE seq = ?", checkpoint, seq)
    return Expected(words=f"^publication {seq}: lacks the log's ML-DSA-44")


@ATTACKS.kind("a publication removed, or all of them")
def no_publication(stored: Stored, random: Random) -> Expected:
    *older, _ = _publications(stored)
    if random.random() < 0.1:
        stored.run("DELETE FROM publications")
        return Expected(words="^there is no published checkpoint")
    seq = random.choice(older)[0]
    stored.run("DELETE FROM publications WHERE seq = ?", seq)
    return Expected(words=f"^publication {seq + 1}: follows a gap")


@ATTACKS.kind("two checkpoints of one size, both signed by the real key")
def two_of_one_size(stored: Stored, random: Random) -> Expected:
    found = _publications(stored)
    seq, size, _, at = random.choice(found)
    forged = stored.signing.published(size, forge.hash_of(random), seconds(at))
    if random.random() < 0.5:
        stored.run("UPDATE publications SET checkpoint = ? WHERE seq = ?", forged, seq)
    else:
        seq, size, at = found[-1][0] + 1, found[-1][1], found[-1][3]
        forged = stored.signing.published(size, forge.hash_of(random), seconds(at))
        stored.run("INSERT INTO publications VALUES (?, ?, ?, ?)", seq, size, forged, at)
    return Expected(words=f"^publication {seq}: has another root than the tree of {size}")


@ATTACKS.kind("guard replaced: newer than the log")
def newer_guard(stored: Stored, random: Random) -> Expected:
    more = stored.size + random.randrange(1, 1000)
    stored.set_guard(stored.signing.issued(more, forge.hash_of(random)))
    return Expected(stored.size, words="tail is cut off")


@ATTACKS.kind("guard replaced: as old as may be, with another root")
def older_guard(stored: Stored, random: Random) -> Expected:
    size = random.randrange(1, stored.size + 1)
    stored.set_guard(stored.signing.issued(size, forge.hash_of(random)))
    return Expected(words=CONTRADICTS_GUARD)


@ATTACKS.kind("guard replaced: unsigned, another key's, or no guard at all")
def false_guard(stored: Stored, random: Random) -> Expected:
    choice = random.randrange(3)
    if choice == 0:
        stored.directory.guard_path.write_bytes(random.randbytes(2 * SLOT))
        return Expected(words="^the guard cannot be read")
    genuine = stored.signing.issued(stored.size, forge.root(stored.subject.entries))
    if choice == 1:
        stored.set_guard(_spoiled(genuine, stored.size, random))
    else:
        other = Signing.false(stored.directory.origin)
        stored.set_guard(other.issued(stored.size, forge.root(stored.subject.entries)))
    return Expected(words="^the guard's checkpoint: ")


@ATTACKS.kind("a signing key replaced")
def signing_key(stored: Stored, random: Random) -> Expected:
    other = Signing.false(stored.directory.origin)
    name, private, algorithm = random.choice(
        [
            ("log-ed25519.key", other.ed25519.private_text, "Ed25519"),
            ("log-mldsa44.key", other.mldsa44.private_text, "ML-DSA-44"),
        ]
    )
    (stored.directory.keys_path / name).write_text(private + "\n")
    return Expected(words=f"^the {algorithm} signing key is not one that entry 0 names")


@ATTACKS.kind("a key of the key store removed, changed or given to another stream")
def key(stored: Stored, random: Random) -> Expected:
    """The first entry whose fields are under it is named."""
    rows = stored.sealed()
    key_id = random.choice(rows).key_id
    change = random.choice(
        [
            "DELETE FROM stream_keys WHERE key_id = ?",
            "UPDATE stream_keys SET wrapped = zeroblob(length(wrapped)) WHERE key_id = ?",
            "UPDATE stream_keys SET stream = stream || '0' WHERE key_id = ?",
        ]
    )
    stored.set_key_store(change, key_id)
    return Expected(next(row.position for row in rows if row.key_id == key_id), words="key")


@ATTACKS.kind("an erased key put back into the key store")
def key_back(stored: Stored, random: Random) -> Expected:
    raw, at = random.choice(stored.all("SELECT key_id, position FROM destroyed_keys"))
    stored.set_key_store(
        "INSERT INTO stream_keys (key_id, stream, key_class, wrapped) VALUES (?, ?, ?, ?)",
        str(UUID(bytes=bytes(raw))),
        f"case/{forge.random_uuid(random)}",
        SUBJECT,
        random.randbytes(60),
    )
    return Expected(at, words="a key that this erasure destroyed is in the key store again")
