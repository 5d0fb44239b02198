"""Fixed keys and leaves, and the edits that turn a good vector into one with a single defect."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from ledger_verifier.formats.checkpoint import Ed25519Cosigner, MLDSA44Cosigner
from ledger_verifier.formats.merkle import NodeReader, leaf_hashes, root_of
from ledger_verifier.formats.note import Ed25519Signer, Note, SignatureLine

ORIGIN = "ledger.example/vectors"
TIME = 1_700_000_000
SIZE = 11
ENTRIES = [f"entry {index}".encode() for index in range(SIZE)]
LEAVES = leaf_hashes(ENTRIES)

Json = dict[str, Any]
Edit = Callable[[str], str | bytes]


def seed(label: str) -> bytes:
    return sha256(f"hub-ledger test key: {label}".encode()).digest()


LOG = Ed25519Signer(ORIGIN, seed("log"))
LOG_MLDSA = MLDSA44Cosigner(ORIGIN, seed("log ml-dsa"))
WITNESS = Ed25519Cosigner("witness.example/w1", seed("w1"))
WITNESS_MLDSA = MLDSA44Cosigner("witness.example/w2", seed("second witness"))
WITNESS_3 = Ed25519Cosigner("witness.example/w3", seed("w3"))
STRANGER = Ed25519Signer("stranger.example", seed("stranger"))


def nodes(leaves: list[bytes]) -> NodeReader:
    return lambda height, index: root_of(leaves[index << height : (index + 1) << height])


def given(value: str | bytes) -> Json:
    """Return the member that carries a text: as it is, or in hexadecimal if it is not UTF-8."""
    data = value.encode() if isinstance(value, str) else value
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def defects(good: str, edits: dict[str, Edit], error: str) -> list[Json]:
    cases = []
    for name, edit in edits.items():
        bad = edit(good)
        if bad in (good, good.encode()):
            raise ValueError(f"the defect «{name}» changes nothing")
        cases.append({"name": name, "error": error, **given(bad)})
    return cases


def swap(old: str, new: str) -> Edit:
    return lambda text: text.replace(old, new, 1)


def raw(old: bytes, new: bytes) -> Edit:
    return lambda text: text.encode().replace(old, new, 1)


def before(marker: str, inserted: str) -> Edit:
    return swap(marker, inserted + marker)


def signed(text: str, *lines: SignatureLine) -> str:
    """Return the signed note."""
    return Note(text, lines).encode().decode()


def following(character: str) -> str:
    """Return the next character: in base64 one that differs in the last bits alone."""
    return chr(ord(character) + 1)
