"""Checkpoints and their signatures: published ones, defective ones, mutated ones."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tlog_scales import signing, tlog

from ledger_verifier.formats import errors
from ledger_verifier.formats.checkpoint import (
    Checkpoint,
    Ed25519Cosigner,
    MLDSA44Cosigner,
    open_checkpoint,
    verify_line,
)
from ledger_verifier.formats.errors import CheckpointError, FormatError, NoteError
from ledger_verifier.formats.merkle import EMPTY_ROOT, leaf_hashes, root_of
from ledger_verifier.formats.note import (
    SIG_COSIGNATURE_ED25519,
    SIG_ED25519,
    Ed25519Signer,
    Note,
    SignatureLine,
    VerifierKey,
)
from tests.vectors import load, name_of, raw
from tests.verifier.formats.hostile import mutants

VECTORS = load("c2sp/checkpoints.json")
KEYS = {name: VerifierKey.parse(vkey) for name, vkey in VECTORS["keys"].items()}
ALL_SIGNED = raw(next(c for c in VECTORS["good"] if c["name"] == "log-and-witnesses"))

LOG = Ed25519Signer("ledger.example/log", bytes(range(32)))
LOG_MLDSA = MLDSA44Cosigner("ledger.example/log", bytes(range(32)))
WITNESS = Ed25519Cosigner("witness.example", bytes(range(1, 33)))
COLLISION = (86574, 89301)
CHECKPOINT = Checkpoint("ledger.example/log", 7, bytes(range(32)))

origins = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda text: not any(c < " " for c in text)
)
checkpoints = st.builds(
    Checkpoint,
    origins,
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(origins, max_size=3).map(tuple),
)


def test_published_sigsum_checkpoint() -> None:
    vector = load("public/sigsum.json")
    origin = vector["checkpoint"].split("\n")[0]
    key = VerifierKey(origin, SIG_ED25519, bytes.fromhex(vector["public_key"]))
    assert f"{key.key_id:08x}" == vector["key_id"]
    opened = open_checkpoint(vector["checkpoint"].encode(), [key])
    assert (opened.checkpoint.origin, opened.checkpoint.size) == (origin, 10)
    assert opened.checkpoint.root == bytes.fromhex("1c0e47") + bytes(29)


def test_published_tessera_checkpoint_and_cosignature() -> None:
    vector = load("public/tessera.json")
    key = VerifierKey.parse(vector["vkey"])
    checkpoint = open_checkpoint(vector["checkpoint"].encode(), [key]).checkpoint
    assert checkpoint.size == len(vector["leaves"]) == 15
    assert checkpoint.root == root_of(leaf_hashes(leaf.encode() for leaf in vector["leaves"]))
    cosigner = VerifierKey.parse(vector["cosigner"]["vkey"])
    plain = VerifierKey(cosigner.name, SIG_ED25519, cosigner.public_key)
    assert cosigner.sig_type == SIG_COSIGNATURE_ED25519
    assert f"{plain.key_id:08x}" == vector["cosigner"]["key_id_as_type_1"]
    line = SignatureLine.parse(vector["cosigner"]["line"])
    assert verify_line(cosigner, checkpoint, line) == vector["cosigner"]["timestamp"]
    both = f"{vector['checkpoint']}{vector['cosigner']['line']}\n".encode()
    assert open_checkpoint(both, [key, cosigner]).signers == (key, cosigner)


def test_published_mldsa44_message() -> None:
    """The message is private to the module: a signature over its published bytes shows it."""
    vector = load("public/tessera.json")
    checkpoint = Checkpoint.parse(vector["checkpoint"].partition("\n\n")[0] + "\n")
    time = vector["cosigner"]["timestamp"]
    cosigner = MLDSA44Cosigner("Wit1", bytes(32))
    private = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    message = bytes.fromhex(vector["cosigner"]["mldsa44_message"])
    signature = time.to_bytes(8) + private.sign(message)
    line = SignatureLine("Wit1", cosigner.key.key_id, signature)
    assert verify_line(cosigner.key, checkpoint, line) == time


def test_published_mldsa44_checkpoint() -> None:
    vector = load("public/torchwood-mldsa44.json")
    key = VerifierKey.parse(vector["vkey"])
    opened = open_checkpoint(vector["checkpoint"].encode(), [key])
    assert (opened.signers, opened.timestamps) == ((key,), {key: 0})
    bad = vector["checkpoint"].replace("\n1\n", "\n2\n")
    with pytest.raises(CheckpointError, match="does not verify"):
        open_checkpoint(bad.encode(), [key])


@pytest.mark.parametrize("case", VECTORS["good"], ids=name_of)
def test_good_checkpoints(case: dict[str, Any]) -> None:
    opened = open_checkpoint(raw(case), KEYS.values())
    assert opened.signers == tuple(KEYS[name] for name in case["signers"])
    assert opened.checkpoint.text == opened.note.text
    for key, time in opened.timestamps.items():
        assert time == (0 if key.sig_type == SIG_ED25519 else VECTORS["timestamp"])
    if opened.checkpoint.size:
        assert opened.checkpoint.root.hex() == VECTORS["root"]


@pytest.mark.parametrize("case", VECTORS["bad"], ids=name_of)
def test_bad_checkpoints(case: dict[str, Any]) -> None:
    with pytest.raises(getattr(errors, case["error"])):
        open_checkpoint(raw(case), KEYS.values())


def test_each_kind_of_signature_and_each_flipped_byte() -> None:
    lines = {
        LOG.key: LOG.sign(CHECKPOINT.text),
        WITNESS.key: WITNESS.cosign(CHECKPOINT, 5),
        LOG_MLDSA.key: LOG_MLDSA.cosign(CHECKPOINT, 0),
    }
    assert [verify_line(key, CHECKPOINT, line) for key, line in lines.items()] == [0, 5, 0]
    for key, line in lines.items():
        for at in range(0, len(line.signature), 1 if len(line.signature) < 100 else 37):
            changed = bytearray(line.signature)
            changed[at] ^= 1
            with pytest.raises(CheckpointError):
                verify_line(key, CHECKPOINT, SignatureLine(line.name, line.key_id, bytes(changed)))
        for size in (1, 8, len(line.signature) - 1):
            short = SignatureLine(line.name, line.key_id, line.signature[:size])
            with pytest.raises(CheckpointError, match="length"):
                verify_line(key, CHECKPOINT, short)
        long = SignatureLine(line.name, line.key_id, line.signature + b"\0")
        with pytest.raises(CheckpointError, match="length"):
            verify_line(key, CHECKPOINT, long)


def test_every_signature_covers_origin_size_and_root() -> None:
    others = (
        Checkpoint("ledger.example/other", 7, CHECKPOINT.root),
        Checkpoint(CHECKPOINT.origin, 8, CHECKPOINT.root),
        Checkpoint(CHECKPOINT.origin, 7, EMPTY_ROOT),
    )
    for other in others:
        for key, line in (
            (LOG.key, LOG.sign(CHECKPOINT.text)),
            (WITNESS.key, WITNESS.cosign(CHECKPOINT, 5)),
            (LOG_MLDSA.key, LOG_MLDSA.cosign(CHECKPOINT, 5)),
        ):
            with pytest.raises(CheckpointError, match="does not verify"):
                verify_line(key, other, line)


def test_mldsa44_covers_the_cosigner_name() -> None:
    namesake = MLDSA44Cosigner("other.example", bytes(range(32)))
    line = LOG_MLDSA.cosign(CHECKPOINT, 5)
    moved = SignatureLine(namesake.key.name, namesake.key.key_id, line.signature)
    with pytest.raises(CheckpointError, match="does not verify"):
        verify_line(namesake.key, CHECKPOINT, moved)


def test_a_cosignature_is_no_note_signature_and_the_reverse() -> None:
    """The same private key under types 0x01 and 0x04: each line verifies under its own alone."""
    plain = Ed25519Signer("witness.example", bytes(range(1, 33)))
    assert plain.key.public_key == WITNESS.key.public_key
    cosigned = WITNESS.cosign(CHECKPOINT, 5)
    as_plain = SignatureLine(plain.key.name, plain.key.key_id, cosigned.signature[8:])
    with pytest.raises(CheckpointError, match="does not verify"):
        verify_line(plain.key, CHECKPOINT, as_plain)
    signed = plain.sign(CHECKPOINT.text)
    as_cosigned = SignatureLine(WITNESS.key.name, WITNESS.key.key_id, bytes(8) + signed.signature)
    with pytest.raises(CheckpointError, match="does not verify"):
        verify_line(WITNESS.key, CHECKPOINT, as_cosigned)


def test_a_line_of_another_key_is_not_verified_under_this_one() -> None:
    with pytest.raises(CheckpointError, match="another key"):
        verify_line(LOG.key, CHECKPOINT, WITNESS.cosign(CHECKPOINT, 5))


def test_extension_lines() -> None:
    extended = Checkpoint(CHECKPOINT.origin, 7, CHECKPOINT.root, ("more",))
    assert Checkpoint.parse(extended.text) == extended
    assert verify_line(WITNESS.key, extended, WITNESS.cosign(extended, 5)) == 5
    with pytest.raises(CheckpointError, match="does not verify"):
        verify_line(WITNESS.key, extended, WITNESS.cosign(CHECKPOINT, 5))
    with pytest.raises(CheckpointError, match="extension"):
        LOG_MLDSA.cosign(extended, 5)
    with pytest.raises(CheckpointError, match="extension"):
        verify_line(LOG_MLDSA.key, extended, LOG_MLDSA.cosign(CHECKPOINT, 5))


@pytest.mark.parametrize("cosigner", [WITNESS, LOG_MLDSA], ids=["ed25519", "mldsa44"])
def test_timestamps(cosigner: Ed25519Cosigner | MLDSA44Cosigner) -> None:
    for time in (0, 1, 2**63 - 1):
        assert verify_line(cosigner.key, CHECKPOINT, cosigner.cosign(CHECKPOINT, time)) == time
    for time in (-1, 2**63, 2**64):
        with pytest.raises(CheckpointError, match="timestamp"):
            cosigner.cosign(CHECKPOINT, time)


def test_a_timestamp_over_the_limit_is_refused_though_its_signature_is_good() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
    message = f"cosignature/v1\ntime {2**63}\n{CHECKPOINT.text}".encode()
    signature = (2**63).to_bytes(8) + private.sign(message)
    line = SignatureLine(WITNESS.key.name, WITNESS.key.key_id, signature)
    with pytest.raises(CheckpointError, match="timestamp"):
        verify_line(WITNESS.key, CHECKPOINT, line)


def test_trusted_keys_that_share_a_name_and_an_id() -> None:
    """Two keys with one id, found by trying about 2^16 of them."""
    first, second = (
        VerifierKey("collision.example", SIG_ED25519, number.to_bytes(32)) for number in COLLISION
    )
    assert first.key_id == second.key_id
    raw_note = Note(CHECKPOINT.text, (LOG.sign(CHECKPOINT.text),)).encode()
    assert open_checkpoint(raw_note, [LOG.key, first, first]).signers == (LOG.key,)
    with pytest.raises(CheckpointError, match="share"):
        open_checkpoint(raw_note, [LOG.key, first, second])


def test_mldsa44_origin_limit() -> None:
    exact = Checkpoint("o" * 255, 7, CHECKPOINT.root)
    assert verify_line(LOG_MLDSA.key, exact, LOG_MLDSA.cosign(exact, 1)) == 1
    with pytest.raises(CheckpointError, match="too long"):
        LOG_MLDSA.cosign(Checkpoint("o" * 256, 7, CHECKPOINT.root), 1)


def test_repeated_lines_must_all_verify_and_the_latest_time_counts() -> None:
    lines = [WITNESS.cosign(CHECKPOINT, time) for time in (5, 9, 7)]
    note = Note(CHECKPOINT.text, (LOG.sign(CHECKPOINT.text), *lines))
    opened = open_checkpoint(note.encode(), [WITNESS.key, LOG.key, LOG.key])
    assert opened.signers == (LOG.key, WITNESS.key)
    assert opened.timestamps == {LOG.key: 0, WITNESS.key: 9}
    broken = SignatureLine(WITNESS.key.name, WITNESS.key.key_id, bytes(72))
    with pytest.raises(CheckpointError, match="does not verify"):
        open_checkpoint(Note(note.text, (*note.signatures, broken)).encode(), [WITNESS.key])


def test_a_name_or_an_id_alone_does_not_make_a_key_known() -> None:
    line = LOG.sign(CHECKPOINT.text)
    stranger = Ed25519Signer("stranger.example", bytes(32))
    for name, key_id in ((stranger.key.name, line.key_id), (line.name, stranger.key.key_id)):
        note = Note(CHECKPOINT.text, (line, SignatureLine(name, key_id, bytes(64))))
        assert open_checkpoint(note.encode(), [LOG.key]).signers == (LOG.key,)
        with pytest.raises(CheckpointError, match="no signature by a trusted key"):
            open_checkpoint(note.encode(), [stranger.key])


def test_keys_that_are_no_points_verify_nothing() -> None:
    for public in (b"\xff" * 32, bytes(32), (2).to_bytes(32, "little")):
        key = VerifierKey("k", SIG_ED25519, public)
        with pytest.raises(CheckpointError, match="does not verify"):
            verify_line(key, CHECKPOINT, SignatureLine("k", key.key_id, b"\x01" * 64))


@pytest.mark.parametrize(
    ("origin", "size", "root", "extensions"),
    [
        ("", 1, bytes(32), ()),
        ("a\nb", 1, bytes(32), ()),
        ("a\rb", 1, bytes(32), ()),
        ("a", -1, bytes(32), ()),
        ("a", 2**63, bytes(32), ()),
        ("a", 1, bytes(31), ()),
        ("a", 0, bytes(32), ()),
        ("a", 1, bytes(32), ("",)),
        ("a", 1, bytes(32), ("x\ny",)),
    ],
)
def test_impossible_checkpoints(
    origin: str, size: int, root: bytes, extensions: tuple[str, ...]
) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint(origin, size, root, extensions)


def test_second_opinion() -> None:
    """tlog-scales verifies our signatures, and we verify its."""
    lines = (
        LOG.sign(CHECKPOINT.text),
        LOG_MLDSA.cosign(CHECKPOINT, 1_700_000_000),
        WITNESS.cosign(CHECKPOINT, 1_700_000_000),
    )
    theirs = tlog.Checkpoint.from_text(Note(CHECKPOINT.text, lines).encode().decode())
    keys = [signing.Vkey.from_string(signer.key.vkey) for signer in (LOG, LOG_MLDSA, WITNESS)]
    assert len(signing.VkeySet(*keys).verify(theirs.signatures, theirs)) == 3
    signers: list[signing.CheckpointSigner] = [
        signing.PlainEd25519Signer(LOG.key.name, bytes(range(32))),
        signing.MLDSA44CosignatureSigner(LOG.key.name, bytes(range(32))),
    ]
    made = tlog.Checkpoint.make_signed(CHECKPOINT.origin, 7, CHECKPOINT.root, signers)
    opened = open_checkpoint(made.serialize().encode(), [LOG.key, LOG_MLDSA.key])
    assert opened.checkpoint == CHECKPOINT
    assert opened.signers == (LOG.key, LOG_MLDSA.key)


@given(checkpoints)
def test_round_trip(checkpoint: Checkpoint) -> None:
    assert Checkpoint.parse(checkpoint.text) == checkpoint


@given(mutants(CHECKPOINT.text.encode()))
def test_a_mutated_text_is_refused_or_is_its_own_only_spelling(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        assert Checkpoint.parse(text).text == text
    except CheckpointError:
        return


@settings(max_examples=150)
@given(mutants(ALL_SIGNED))
def test_a_mutant_never_opens_as_another_checkpoint(data: bytes) -> None:
    try:
        opened = open_checkpoint(data, KEYS.values())
    except (NoteError, CheckpointError):
        return
    except FormatError as error:
        pytest.fail(f"the wrong class: {type(error).__name__}")
    assert opened.note.encode() == data
    assert opened.checkpoint.root.hex() == VECTORS["root"]
    assert set(opened.signers) <= set(KEYS.values())
