"""tlog-proof files: good ones, defective ones, mutated ones."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_verifier.formats import errors
from ledger_verifier.formats.checkpoint import Checkpoint, open_checkpoint
from ledger_verifier.formats.errors import ProofError
from ledger_verifier.formats.merkle import leaf_hash, root_of
from ledger_verifier.formats.note import Ed25519Signer, VerifierKey
from ledger_verifier.formats.proof import MAX_EXTRA, MAX_PROOF, LogProof
from tests.vectors import load, name_of, raw
from tests.verifier.formats.hostile import mutants

VECTORS = load("c2sp/proofs.json")
KEY = VerifierKey.parse(VECTORS["key"])
GOOD = raw(VECTORS["files"]["good"][0])
HASHES = tuple(map(bytes.fromhex, VECTORS["inclusion"]["hashes"]))
CHECKPOINT = LogProof.parse(GOOD).checkpoint


def test_a_good_proof_verifies() -> None:
    proof = LogProof.parse(GOOD)
    assert (proof.index, proof.hashes, proof.extra) == (6, HASHES, b"seen")
    assert proof.encode().encode() == GOOD
    assert LogProof.parse(GOOD.decode()) == proof
    checkpoint = open_checkpoint(proof.checkpoint, [KEY]).checkpoint
    proof.verify(leaf_hash(VECTORS["entries"][6].encode()), checkpoint)


def test_it_proves_nothing_else() -> None:
    proof = LogProof.parse(GOOD)
    checkpoint = open_checkpoint(proof.checkpoint, [KEY]).checkpoint
    leaf = leaf_hash(VECTORS["entries"][6].encode())
    with pytest.raises(ProofError, match="root"):
        proof.verify(leaf_hash(VECTORS["entries"][5].encode()), checkpoint)
    # The path alone would also fit a tree of 12: it is the signed size that binds it.
    with pytest.raises(ProofError, match="not the one in the proof"):
        proof.verify(leaf, Checkpoint(checkpoint.origin, 12, checkpoint.root))
    for index in (0, 5, 7, 10, 11, 2**62):
        with pytest.raises(ProofError):
            LogProof(index, HASHES, CHECKPOINT).verify(leaf, checkpoint)


def test_a_tree_of_one_leaf_needs_no_hash() -> None:
    signer = Ed25519Signer.generate("a")
    checkpoint = Checkpoint("a", 1, root_of([leaf_hash(b"only")]))
    note = f"{checkpoint.text}\n{signer.sign(checkpoint.text).encode()}\n".encode()
    proof = LogProof.parse(LogProof(0, (), note).encode())
    assert proof.encode().startswith("c2sp.org/tlog-proof@v1\nindex 0\n\na\n1\n")
    proof.verify(leaf_hash(b"only"), checkpoint)


@pytest.mark.parametrize("case", VECTORS["files"]["bad"], ids=name_of)
def test_bad_files(case: dict[str, Any]) -> None:
    with pytest.raises(getattr(errors, case["error"])):
        LogProof.parse(raw(case))


def test_impossible_proofs() -> None:
    for index in (-1, 2**63 - 1):
        with pytest.raises(ProofError, match="index"):
            LogProof(index, (), CHECKPOINT)
    for hashes in ((b"short",), (bytes(33),), (bytes(32),) * 64):
        with pytest.raises(ProofError, match="hashes"):
            LogProof(0, hashes, CHECKPOINT)
    with pytest.raises(ProofError, match="extra"):
        LogProof(0, (), CHECKPOINT, bytes(MAX_EXTRA + 1))
    with pytest.raises(ProofError, match="UTF-8"):
        LogProof(0, (), b"\xff").encode()


@pytest.mark.parametrize("extra", [None, b"", b"\x00\xff", bytes(MAX_EXTRA)])
def test_extra(extra: bytes | None) -> None:
    proof = LogProof(6, HASHES, CHECKPOINT, extra)
    assert LogProof.parse(proof.encode()) == proof


@pytest.mark.parametrize(
    "hostile",
    [
        b"\n" * MAX_PROOF,
        b"x" * (MAX_PROOF + 1),
        b"c2sp.org/tlog-proof@v1\n" + b"index 0\n" * 100_000 + b"\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + b"A" * 900_000 + b"\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + (b"A" * 43 + b"=\n") * 20_000 + b"\n",
        b"c2sp.org/tlog-proof@v1\nindex " + b"9" * 900_000 + b"\n\n",
    ],
    ids=range(6),
)
def test_hostile_megabytes(hostile: bytes) -> None:
    with pytest.raises(ProofError):
        LogProof.parse(hostile)


@given(
    st.integers(0, 2**63 - 2),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(max_size=100),
)
def test_round_trip(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    proof = LogProof(index, tuple(hashes), CHECKPOINT, extra)
    assert LogProof.parse(proof.encode()) == proof
    assert LogProof.parse(proof.encode().encode()) == proof


@given(mutants(GOOD))
def test_a_mutant_is_refused_or_is_its_own_only_spelling(data: bytes) -> None:
    try:
        proof = LogProof.parse(data)
    except ProofError:
        return
    assert proof.encode().encode() == data


@given(st.text(max_size=100))
def test_arbitrary_text(text: str) -> None:
    for tried in (text, f"c2sp.org/tlog-proof@v1\nindex 0\n{text}", text + "\ud800"):
        with pytest.raises(ProofError):
            LogProof.parse(tried)
