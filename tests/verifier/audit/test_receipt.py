"""Receipts: one entry, its proof, and what a proof alone can and cannot say."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from ledger_verifier.audit.receipt import verify_receipt
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.merkle import leaf_hash
from ledger_verifier.formats.proof import LogProof

from ..formats.hostile import mutants
from .test_tampering import altered
from .world import START, World, policy, sign

WORLD = World(seed=4).fill(40, streams=4)
AT = 17
ENTRY = WORLD.entries[AT]
ISSUED = WORLD.receipt(AT)


def check(receipt: bytes, entry: bytes = ENTRY, quorum: str | None = "both") -> Report:
    return verify_receipt(receipt, entry, policy(quorum))


@pytest.mark.parametrize("position", [0, 1, AT, 39])
def test_an_issued_receipt_rests_on_the_logs_own_key(position: int) -> None:
    report = check(WORLD.receipt(position), WORLD.entries[position])
    assert report.verdict is Verdict.UNWITNESSED
    assert report.failures == ()
    assert report.checked["proofs"] == 1
    assert any("--since RECEIPT" in line for line in report.not_assessed)
    assert report.tree_size == 40


def test_a_receipt_against_a_witnessed_checkpoint() -> None:
    report = check(WORLD.receipt(AT, mldsa=True, witnessed=True))
    assert report.verdict is Verdict.VERIFIED
    assert report.checked["cosignatures"] == 2
    assert "witnessed at" in report.shown[0]


def test_where_no_witness_is_asked_for() -> None:
    assert check(ISSUED, quorum=None).verdict is Verdict.VERIFIED


def test_a_newer_checkpoint_does_as_well() -> None:
    assert check(WORLD.receipt(AT, 25)).verdict is Verdict.UNWITNESSED


def test_an_entry_that_was_changed() -> None:
    report = check(ISSUED, altered(ENTRY))
    assert report.verdict is Verdict.FAILED
    assert [f.position for f in report.failures] == [AT]
    assert report.failures[0].stream is not None


def test_another_entry() -> None:
    assert check(ISSUED, WORLD.entries[AT + 1]).verdict is Verdict.FAILED


def test_a_receipt_for_another_position() -> None:
    assert check(WORLD.receipt(AT + 1)).verdict is Verdict.FAILED


def test_a_file_with_a_newline_at_its_end() -> None:
    report = check(ISSUED, ENTRY + b"\n")
    assert report.verdict is Verdict.FAILED
    assert "without the newline" in report.failures[0].reason


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b"null", b'{"stream":[]}', b"\n"])
def test_what_is_no_entry(raw: bytes) -> None:
    assert check(ISSUED, raw).verdict is Verdict.FAILED


@pytest.mark.parametrize("raw", [b"", b"x", b"\xff\n\n", b"c2sp.org/tlog-proof@v1\nindex 1\n\n"])
def test_what_is_no_receipt(raw: bytes) -> None:
    report = check(raw)
    assert report.verdict is Verdict.FAILED
    assert report.tree_size is None


def test_a_receipt_of_a_tree_that_was_never_the_logs() -> None:
    proof = LogProof(AT, WORLD.proof(AT), sign(40, bytes(32)))
    assert check(proof.encode().encode()).verdict is Verdict.FAILED


def test_an_entry_of_a_newer_format() -> None:
    """Its place can be shown, what it says cannot."""
    raw = ENTRY.replace(b"entry@v1", b"entry@v2")
    proof = LogProof(0, (), sign(1, leaf_hash(raw)))
    report = check(proof.encode().encode(), raw)
    assert report.verdict is Verdict.UNVERIFIABLE
    assert report.checked["proofs"] == 1


def test_an_entry_zero_that_is_not_the_genesis() -> None:
    late = START // 1000 + 100
    raw = sign(1, leaf_hash(ENTRY), log_at=late, witnessed_at=late)
    proof = LogProof(0, (), raw)
    report = check(proof.encode().encode())
    assert report.verdict is Verdict.FAILED
    assert (report.failures[0].position, report.failures[0].field) == (0, "type")


@pytest.mark.parametrize("verdict", [Verdict.UNWITNESSED])
@settings(max_examples=300, deadline=None)
@given(raw=mutants(ISSUED))
def test_no_altered_receipt_shows_anything_else(raw: bytes, verdict: Verdict) -> None:
    report = check(raw)
    if report.verdict is not Verdict.FAILED:
        assert (report.verdict, report.root) == (verdict, WORLD.root().hex())


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-1], lambda raw: raw + b"x", lambda raw: raw.upper()]
)
def test_every_byte_of_the_entry_counts(change: Callable[[bytes], bytes]) -> None:
    assert check(ISSUED, change(ENTRY)).verdict is Verdict.FAILED
