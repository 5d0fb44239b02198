"""Attacks on receipts and on case bundles."""

from dataclasses import replace
from random import Random
from typing import Any

import orjson

from ledger_verifier.formats.bundle import (
    CHECKPOINT,
    MANIFEST,
    CaseManifest,
    decode_disclosures,
    decode_proof,
    disclosures_name,
    encode_disclosures,
    encode_proof,
    entry_name,
    proof_name,
)
from ledger_verifier.formats.disclosure import Disclosure, b64url
from ledger_verifier.formats.entry import canonical
from ledger_verifier.formats.merkle import leaf_hashes, prove_inclusion, root_of
from ledger_verifier.formats.proof import LogProof
from tests.tamper import forge
from tests.tamper.forge import Signing
from tests.tamper.given import Case, Receipt
from tests.tamper.matrix import Attacks, Expected

RECEIPT_ATTACKS = Attacks()
CASE_ATTACKS = Attacks()

NOT_SHOWN = "^not shown to be in the log at this position"


def _set(receipt: Receipt, **members: Any) -> None:
    receipt.raw = replace(LogProof.parse(receipt.raw), **members).encode().encode()


@RECEIPT_ATTACKS.kind("one byte of the entry changed")
def receipt_byte(receipt: Receipt, random: Random) -> Expected:
    at = receipt.choose(random)
    receipt.entry = forge.flipped(receipt.entry, random)
    return Expected(at)


@RECEIPT_ATTACKS.kind("another entry of the log in its place")
def receipt_entry(receipt: Receipt, random: Random) -> Expected:
    at = receipt.choose(random)
    others = [n for n in range(len(receipt.subject.entries)) if n != at]
    receipt.entry = receipt.subject.entries[random.choice(others)]
    return Expected(at, words=NOT_SHOWN)


@RECEIPT_ATTACKS.kind("a node of the proof changed, dropped, doubled or moved")
def receipt_node(receipt: Receipt, random: Random) -> Expected:
    at = receipt.choose(random)
    _set(receipt, hashes=_spoiled(list(LogProof.parse(receipt.raw).hashes), random))
    return Expected(at, words=NOT_SHOWN)


def _spoiled(hashes: list[bytes], random: Random) -> tuple[bytes, ...]:
    number, choice = random.randrange(len(hashes)), random.randrange(4)
    if choice == 0:
        hashes[number] = forge.flipped(hashes[number], random)
    elif choice == 1:
        del hashes[number]
    elif choice == 2:
        hashes.insert(number, hashes[number])
    else:
        hashes.insert(0, hashes.pop())
        hashes[0] = forge.flipped(hashes[0], random) if len(hashes) == 1 else hashes[0]
    return tuple(hashes)


@RECEIPT_ATTACKS.kind("another index")
def receipt_index(receipt: Receipt, random: Random) -> Expected:
    at = receipt.choose(random)
    index = random.choice([n for n in range(2 * len(receipt.subject.entries)) if n != at])
    _set(receipt, index=index)
    return Expected(index, words=NOT_SHOWN)


@RECEIPT_ATTACKS.kind("its checkpoint changed: signature, size, root or origin")
def receipt_checkpoint(receipt: Receipt, random: Random) -> Expected:
    receipt.choose(random)
    _set(receipt, checkpoint=altered_checkpoint(LogProof.parse(receipt.raw).checkpoint, random))
    return Expected(words="^receipt: ")


def altered_checkpoint(raw: bytes, random: Random) -> bytes:
    """A checkpoint with another signature, size, root or origin."""
    choice = random.randrange(4)
    if choice == 0:
        return forge.flipped_signature(raw, random)
    if choice == 1:
        return forge.resaid(raw, size=1000 + random.randrange(1000))
    if choice == 2:
        return forge.resaid(raw, root=forge.hash_of(random))
    return forge.resaid(raw, origin=f"ledger.test/{random.randrange(10**9)}")


@RECEIPT_ATTACKS.kind("another real checkpoint of the log in its place")
def receipt_transplant(receipt: Receipt, random: Random) -> Expected:
    at = receipt.choose(random)
    own = LogProof.parse(receipt.raw).checkpoint
    others = [raw for _, raw in receipt.subject.publications]
    others += [LogProof.parse(raw).checkpoint for raw in receipt.subject.receipts.values()]
    text = own.split(b"\n\n")[0]
    chosen = random.choice([raw for raw in others if raw.split(b"\n\n")[0] != text])
    _set(receipt, checkpoint=chosen)
    return Expected(at, words=NOT_SHOWN)


@RECEIPT_ATTACKS.kind("made for another entry, signed by another key")
def receipt_forged(receipt: Receipt, random: Random) -> Expected:
    at = receipt.choose(random)
    value = orjson.loads(receipt.entry)
    value["nonce"] = forge.random_nonce(random)
    entries = list(receipt.subject.entries)
    entries[at] = receipt.entry = canonical(value)
    signing = Signing.false(receipt.subject.directory.origin)
    checkpoint = signing.issued(len(entries), forge.root(entries))
    _set(receipt, hashes=_proof(entries, at), checkpoint=checkpoint)
    return Expected(words="^receipt: ")


def _proof(entries: list[bytes], at: int) -> tuple[bytes, ...]:
    leaves = leaf_hashes(entries)

    def node(height: int, index: int) -> bytes:
        return root_of(leaves[index << height : (index + 1) << height])

    return tuple(prove_inclusion(at, len(leaves), node))


@CASE_ATTACKS.kind("one byte of an entry changed")
def case_byte(case: Case, random: Random) -> Expected:
    at = random.choice(_listed(case.choose(random)))
    name = entry_name(at)
    case.members[name] = forge.flipped(case.members[name], random)
    return Expected(at)


def _listed(manifest: CaseManifest) -> list[int]:
    return sorted({*manifest.positions, *manifest.registrations})


@CASE_ATTACKS.kind("two entries swapped, with or without their proofs")
def case_swap(case: Case, random: Random) -> Expected:
    one, other = sorted(random.sample(case.choose(random).positions, 2))
    names = [entry_name] if random.random() < 0.5 else [entry_name, proof_name]
    for name in names:
        first, second = name(one), name(other)
        case.members[first], case.members[second] = case.members[second], case.members[first]
    return Expected(one)


@CASE_ATTACKS.kind("an entry left out")
def case_left_out(case: Case, random: Random) -> Expected:
    """Out of the middle: that a later one was withheld is not shown, and the report says so."""
    manifest = case.choose(random)
    number = random.randrange(len(manifest.positions) - 1)
    positions = list(manifest.positions)
    at = positions.pop(number)
    for name in (entry_name, proof_name, disclosures_name):
        case.members.pop(name(at), None)
    case.members[MANIFEST] = replace(manifest, positions=tuple(positions)).encode()
    return Expected(positions[number], words="version")


@CASE_ATTACKS.kind("an entry of another stream slipped in, with a genuine proof")
def case_slipped_in(case: Case, random: Random) -> Expected:
    manifest = case.choose(random)
    entries = list(case.subject.entries[: manifest.tree_size])
    at = random.choice(
        [n for n, raw in enumerate(entries) if manifest.stream[5:].encode() not in raw and n > 40]
    )
    case.members[entry_name(at)] = entries[at]
    case.members[proof_name(at)] = encode_proof(_proof(entries, at))
    positions = tuple(sorted({*manifest.positions, at}))
    case.members[MANIFEST] = replace(manifest, positions=positions).encode()
    return Expected(at)


@CASE_ATTACKS.kind("a node of a proof changed, dropped, doubled or moved")
def case_node(case: Case, random: Random) -> Expected:
    at = random.choice(_listed(case.choose(random)))
    hashes = decode_proof(case.members[proof_name(at)])
    case.members[proof_name(at)] = encode_proof(_spoiled(hashes, random))
    return Expected(at, words=NOT_SHOWN)


def _opened(case: Case, random: Random) -> tuple[int, list[str]]:
    """The position and the disclosures of an entry that has some."""
    places = [p for p in case.manifest.positions if disclosures_name(p) in case.members]
    at = random.choice(places)
    return at, decode_disclosures(case.members[disclosures_name(at)])


@CASE_ATTACKS.kind("a disclosure moved to another entry")
def case_moved(case: Case, random: Random) -> Expected:
    case.choose(random)
    (one, texts), (at, others) = _opened(case, random), _opened(case, random)
    while one == at:
        at, others = _opened(case, random)
    others[random.randrange(len(others))] = random.choice(texts)
    case.members[disclosures_name(at)] = encode_disclosures(others)
    return Expected(at, words="opens nothing that this entry commits to")


@CASE_ATTACKS.kind("a disclosure's salt, name or value changed")
def case_opened(case: Case, random: Random) -> Expected:
    case.choose(random)
    at, texts = _opened(case, random)
    number = random.randrange(len(texts))
    old = Disclosure.parse(texts[number])
    parts = [
        [b64url(random.randbytes(32)), old.name, old.value],
        [old.salt, old.name + "_", old.value],
        [old.salt, old.name, f"not {old.value}"],
    ]
    texts[number] = b64url(canonical(random.choice(parts)))
    case.members[disclosures_name(at)] = encode_disclosures(texts)
    return Expected(at, words="opens nothing that this entry commits to")


@CASE_ATTACKS.kind("a registration left out")
def case_registration(case: Case, random: Random) -> Expected:
    """The first entry that rests on it is named."""
    manifest = case.choose(random)
    gone = random.choice(manifest.registrations[1:])
    registered = orjson.loads(case.members[entry_name(gone)])["data"]["type"]
    for name in (entry_name, proof_name):
        del case.members[name(gone)]
    rest = tuple(p for p in manifest.registrations if p != gone)
    case.members[MANIFEST] = replace(manifest, registrations=rest).encode()
    types = {p: orjson.loads(case.members[entry_name(p)])["type"] for p in manifest.positions}
    return Expected(next(p for p in manifest.positions if types[p] == registered))


@CASE_ATTACKS.kind("its checkpoint changed: signature, size, root or origin")
def case_checkpoint(case: Case, random: Random) -> Expected:
    case.choose(random)
    case.members[CHECKPOINT] = altered_checkpoint(case.members[CHECKPOINT], random)
    return Expected(words="checkpoint|signature")


@CASE_ATTACKS.kind("its manifest changed: stream, origin or size")
def case_manifest(case: Case, random: Random) -> Expected:
    manifest = case.choose(random)
    choice = random.randrange(3)
    if choice == 0:
        changed = replace(manifest, stream=f"case/{forge.random_uuid(random)}")
        case.members[MANIFEST] = changed.encode()
        return Expected(manifest.positions[0], words="not of the stream")
    changed = replace(manifest, origin="ledger.test/another")
    if choice == 1:
        changed = replace(manifest, tree_size=manifest.tree_size + random.randrange(1, 99))
    case.members[MANIFEST] = changed.encode()
    return Expected(words="^manifest.json: ")
