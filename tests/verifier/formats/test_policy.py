"""Trust policies: what they accept, whose signatures count, and how quorums are met."""

from itertools import chain, combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_verifier.formats import errors
from ledger_verifier.formats.checkpoint import Checkpoint, Ed25519Cosigner, MLDSA44Cosigner
from ledger_verifier.formats.errors import CheckpointError, PolicyError
from ledger_verifier.formats.note import (
    SIG_COSIGNATURE_ED25519,
    Ed25519Signer,
    Note,
    SignatureLine,
    VerifierKey,
)
from ledger_verifier.formats.policy import (
    MAX_LINES,
    MAX_POLICY,
    Policy,
    PolicyGroup,
    PolicyLog,
    PolicyWitness,
)
from tests.vectors import load, name_of, raw
from tests.verifier.formats.hostile import mutants

VECTORS = load("c2sp/policies.json")
GOOD = raw(VECTORS["good"][0])
ORIGIN = "ledger.example/log"
LOG = Ed25519Signer(ORIGIN, bytes(range(32)))
LOG_MLDSA = MLDSA44Cosigner(ORIGIN, bytes(range(32)))
OTHER_LOG = Ed25519Signer("other.example/log", bytes(32))
COSIGNERS = [Ed25519Cosigner(f"witness.example/{n}", bytes([n + 1] * 32)) for n in range(6)]
WITNESSES = tuple(PolicyWitness(f"W{n}", signer.key) for n, signer in enumerate(COSIGNERS))
POLICY = Policy(
    (PolicyLog(LOG.key), PolicyLog(LOG_MLDSA.key), PolicyLog(OTHER_LOG.key)),
    WITNESSES[:2],
    (PolicyGroup("both", 2, ("W0", "W1")),),
    "both",
)
COLLIDING = [  # two keys with one name and one key id, found by trying about 2^16 of them
    VerifierKey("collision.example", SIG_COSIGNATURE_ED25519, number.to_bytes(32))
    for number in (74174, 103634)
]
CHECKPOINT = Checkpoint(ORIGIN, 7, bytes(range(32)))


def signed(*lines: SignatureLine, checkpoint: Checkpoint = CHECKPOINT) -> bytes:
    return Note(checkpoint.text, lines).encode()


@pytest.mark.parametrize("case", VECTORS["good"], ids=name_of)
def test_good_policies(case: dict[str, Any]) -> None:
    policy = Policy.parse(raw(case))
    assert policy.quorum == case["quorum"]
    assert Policy.parse(policy.encode()) == policy == Policy.parse(case["text"])


@pytest.mark.parametrize("case", VECTORS["bad"], ids=name_of)
def test_bad_policies(case: dict[str, Any]) -> None:
    with pytest.raises(getattr(errors, case["error"])):
        Policy.parse(raw(case))


def test_the_line_at_fault_is_named() -> None:
    with pytest.raises(PolicyError, match="line 3: a second quorum"):
        Policy.parse("# none needed\nquorum none\nquorum none\n")
    with pytest.raises(PolicyError, match="line 1: a verifier key"):
        Policy.parse("log a+b\nquorum none\n")


def test_a_line_cut_short_is_not_passed_over() -> None:
    for rest in ("# cut", "quorum none", " "):
        with pytest.raises(PolicyError, match="newline"):
            Policy.parse("quorum none\n" + rest)


def test_what_is_written_out() -> None:
    policy = Policy.parse(GOOD)
    assert policy.encode() == GOOD
    assert [log.url for log in policy.logs] == ["https://ledger.example", None]
    assert [witness.url for witness in policy.witnesses] == ["https://w1.example", None]
    assert Policy().encode() == b"quorum none\n"


def test_keys() -> None:
    assert POLICY.log_keys() == (LOG.key, LOG_MLDSA.key, OTHER_LOG.key)
    assert POLICY.log_keys(ORIGIN) == (LOG.key, LOG_MLDSA.key)
    assert POLICY.log_keys("unknown.example") == ()
    assert POLICY.witness_keys() == (COSIGNERS[0].key, COSIGNERS[1].key)


def test_the_quorum_of_the_specification() -> None:
    """Two of three X, and any of three Y."""
    groups = (
        PolicyGroup("X", 2, ("W0", "W1", "W2")),
        PolicyGroup("Y", 1, ("W3", "W4", "W5")),
        PolicyGroup("X-and-Y", 2, ("X", "Y")),
    )
    policy = Policy((), WITNESSES, groups, "X-and-Y")
    every = range(6)
    for some in chain.from_iterable(combinations(every, size) for size in range(7)):
        met = len({0, 1, 2} & set(some)) >= 2 and bool({3, 4, 5} & set(some))
        assert policy.quorum_met([COSIGNERS[n].key for n in some]) is met
    assert Policy.parse(policy.encode()) == policy


def test_a_quorum_of_one_witness_and_of_none() -> None:
    one = Policy((), WITNESSES, (), "W1")
    assert one.quorum_met({COSIGNERS[1].key})
    assert not one.quorum_met({COSIGNERS[0].key})
    assert not one.quorum_met(())
    assert Policy((), WITNESSES).quorum_met(())


def test_keys_outside_the_policy_never_count() -> None:
    namesake = Ed25519Cosigner(COSIGNERS[0].key.name, bytes(32))
    as_log = Ed25519Signer(COSIGNERS[0].key.name, bytes([1] * 32))
    assert as_log.key.public_key == COSIGNERS[0].key.public_key
    policy = Policy((), WITNESSES, (), "W0")
    assert not policy.quorum_met([namesake.key, as_log.key, LOG.key])


def test_words_for_thresholds() -> None:
    witnesses = "".join(f"witness {w.name} {w.key.vkey}\n" for w in WITNESSES[:3])
    for word, threshold in (("all", 3), ("any", 1), ("2", 2)):
        text = f"{witnesses}group g {word} W0 W1 W2\nquorum g\n"
        assert Policy.parse(text).groups == (PolicyGroup("g", threshold, ("W0", "W1", "W2")),)


def test_a_checkpoint_opens_under_its_own_logs_ed25519_key() -> None:
    log, mldsa = LOG.sign(CHECKPOINT.text), LOG_MLDSA.cosign(CHECKPOINT, 9)
    w0, w1 = (signer.cosign(CHECKPOINT, 9) for signer in COSIGNERS[:2])
    opened = POLICY.open(signed(log, mldsa, w0, w1))
    assert opened.signers == (LOG.key, LOG_MLDSA.key, COSIGNERS[0].key, COSIGNERS[1].key)
    assert POLICY.quorum_met(opened.signers)
    assert not POLICY.quorum_met(POLICY.open(signed(log, mldsa, w0)).signers)
    assert POLICY.open(signed(log)).checkpoint == CHECKPOINT


def test_a_checkpoint_without_its_own_logs_ed25519_key_does_not_open() -> None:
    mldsa = LOG_MLDSA.cosign(CHECKPOINT, 9)
    w0, w1 = (signer.cosign(CHECKPOINT, 9) for signer in COSIGNERS[:2])
    other = OTHER_LOG.sign(CHECKPOINT.text)
    for lines in ((mldsa,), (w0, w1), (other,), (other, mldsa, w0, w1)):
        with pytest.raises(CheckpointError, match="its own log"):
            POLICY.open(signed(*lines))
    foreign = Checkpoint("other.example/log", 7, CHECKPOINT.root)
    with pytest.raises(CheckpointError, match="its own log"):
        POLICY.open(signed(LOG.sign(foreign.text), checkpoint=foreign))
    with pytest.raises(CheckpointError, match="trusted key"):
        Policy().open(signed(LOG.sign(CHECKPOINT.text)))


def test_a_listed_key_that_fails_spoils_the_checkpoint() -> None:
    log = LOG.sign(CHECKPOINT.text)
    stale = COSIGNERS[0].cosign(Checkpoint(ORIGIN, 6, CHECKPOINT.root), 9)
    with pytest.raises(CheckpointError, match="does not verify"):
        POLICY.open(signed(log, stale))
    unlisted = COSIGNERS[5].cosign(Checkpoint(ORIGIN, 6, CHECKPOINT.root), 9)
    assert POLICY.open(signed(log, unlisted)).signers == (LOG.key,)


@pytest.mark.parametrize(
    ("witnesses", "groups", "quorum"),
    [
        ((PolicyWitness("a b", COSIGNERS[0].key),), (), None),
        ((PolicyWitness("", COSIGNERS[0].key),), (), None),
        ((PolicyWitness("a", COSIGNERS[0].key, ""),), (), None),
        ((PolicyWitness("a", COSIGNERS[0].key, "https://a b"),), (), None),
        ((PolicyWitness("a", LOG.key),), (), None),
        (WITNESSES[:1], (PolicyGroup("g", 1, ("h",)), PolicyGroup("h", 1, ("W0",))), "g"),
        (WITNESSES[:1], (PolicyGroup("g", 0, ()),), "g"),
        (WITNESSES[:1], (), "none"),
        ((PolicyWitness("none", COSIGNERS[0].key),), (), None),
        ((WITNESSES[0], PolicyWitness("W0", COSIGNERS[1].key)), (), None),
        (WITNESSES[:2], (PolicyGroup("W0", 1, ("W1",)),), None),
        (WITNESSES[:2], (PolicyGroup("none", 1, ("W1",)),), None),
        (tuple(PolicyWitness(f"c{key.public_key.hex()}", key) for key in COLLIDING), (), None),
        (WITNESSES[:1], (), "unknown"),
    ],
)
def test_impossible_policies(
    witnesses: tuple[PolicyWitness, ...], groups: tuple[PolicyGroup, ...], quorum: str | None
) -> None:
    with pytest.raises(PolicyError):
        Policy((), witnesses, groups, quorum)


def test_many_lines_and_too_many() -> None:
    keys = [Ed25519Cosigner("w", n.to_bytes(32)).key for n in range(MAX_LINES + 1)]
    lines = [f"witness w{n} {key.vkey}\n" for n, key in enumerate(keys)]
    lines += ["group g0 any w0\n"] + [f"group g{n} all g{n - 1} w{n}\n" for n in range(1, 256)]
    text = "".join(lines[:MAX_LINES] + lines[MAX_LINES + 1 :]) + f"quorum g{MAX_LINES - 1}\n"
    policy = Policy.parse(text)
    assert policy.quorum_met(keys[:-1])
    assert not policy.quorum_met(keys[:-2])
    with pytest.raises(PolicyError, match="more than 256"):
        Policy.parse("".join(lines))
    with pytest.raises(PolicyError, match="more than 256"):
        Policy((), tuple(PolicyWitness(f"w{n}", key) for n, key in enumerate(keys)))


@pytest.mark.parametrize(
    "hostile",
    [
        b"#" * (MAX_POLICY + 1),
        b"\n" * MAX_POLICY,
        b" " * (MAX_POLICY - 1) + b"\n",
        b"group " + b"a " * 400_000 + b"\n",
        b"log " + b"+" * 900_000 + b"\n",
        b"quorum none\n" * 80_000,
        b"group a " + b"9" * 900_000 + b" b\nquorum a\n",
    ],
    ids=range(7),
)
def test_hostile_megabytes(hostile: bytes) -> None:
    with pytest.raises(PolicyError):
        Policy.parse(hostile)


@given(st.data())
def test_round_trip(data: st.DataObject) -> None:
    witnesses = WITNESSES[: data.draw(st.integers(0, 6))]
    free = [witness.name for witness in witnesses]
    groups: list[PolicyGroup] = []
    for _ in range(data.draw(st.integers(0, 4)) if free else 0):
        members = data.draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        threshold = data.draw(st.integers(1, len(members)))
        groups.append(PolicyGroup(f"G{len(groups)}", threshold, tuple(members)))
        free = [name for name in free if name not in members] + [groups[-1].name]
    names = [None, *(w.name for w in witnesses), *(g.name for g in groups)]
    urls = st.none() | st.just("https://log.example/ü")
    logs = tuple(PolicyLog(key, data.draw(urls)) for key in POLICY.log_keys())
    policy = Policy(logs, witnesses, tuple(groups), data.draw(st.sampled_from(names)))
    assert Policy.parse(policy.encode()) == policy
    assert policy.quorum_met([signer.key for signer in COSIGNERS])


@given(mutants(raw(VECTORS["good"][1])))
def test_a_mutant_is_refused_or_reads_the_same_when_written_out(data: bytes) -> None:
    try:
        policy = Policy.parse(data)
    except PolicyError:
        return
    assert Policy.parse(policy.encode()) == policy


@given(st.binary(max_size=100), st.text(max_size=60))
def test_arbitrary_input(data: bytes, text: str) -> None:
    for tried in (data, text, f"witness {text}\nquorum none\n", f"group {text}\n", "\ud800"):
        try:
            policy = Policy.parse(tried)
        except PolicyError:
            continue
        assert Policy.parse(policy.encode()) == policy
