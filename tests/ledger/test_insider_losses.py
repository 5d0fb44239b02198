"""Somebody with the database deletes sealed rows and says that a restore has lost them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.backup.archive import FORMAT as MANIFEST
from ledger.config import DataDirectory
from ledger.errors import IntegrityAlarm, VaultUnavailable
from ledger.fsck import check
from ledger.log.clock import Clock
from ledger.log.restored import EXPIRY, LOSS, flaw, sign_loss
from ledger.log.sequencer import STATEMENTS, Sequencer
from ledger.store import open_store
from ledger.store.lost import LossNote, note_lost
from ledger.vault.staffmap import StaffRow, Whose, seal_identity
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.note import Ed25519Signer, Note
from ledger_verifier.meaning.schemas import Lost
from ledger_verifier.meaning.succession import STATEMENT
from tests.faults.life import living
from tests.ledger.acts import credential, identified
from tests.ledger.test_staff import COUNCIL, PERSON, ask, confirm, put_row, register, rows_of

DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
UNEXPLAINED = "no entry of the log says why"


def notes(directory: DataDirectory, lost: Lost, checkpoint: bytes) -> Iterator[LossNote]:
    """Notes of a loss that is none, by somebody who has what the log's key signed otherwise."""
    yield LossNote(lost, b"")
    yield sign_loss(Ed25519Signer.generate(directory.origin), lost)
    yield LossNote(lost, Note.parse(checkpoint).signatures[0].signature)
    # A true one, of a restore after which the log went on.
    yield sign_loss(directory.signing_keys().ed25519, replace(lost, log_size=lost.log_size - 1))


def delete_and_note(directory: DataDirectory, position: int, key_class: str) -> None:
    with closing(open_store(directory.database)) as store, store._write() as rows:
        head = store.head()
        assert head is not None
        rows.execute(
            "DELETE FROM sealed WHERE position = ? AND key_class = ?", (position, key_class)
        )
        lost = Lost(key_class, position, position, 1, position, head.size)
        for note in notes(directory, lost, head.checkpoint):
            note_lost(rows, note)
        rows.execute("UPDATE lost SET signature = NULL WHERE signature = ?", (b"",))


async def test_what_was_deleted_is_declared_on_nobodys_word_but_the_keys(
    directory: DataDirectory,
) -> None:
    with living(directory) as life:
        (recorded,) = await life.record(identified())
        reference = await register(life)
        registered = life.store.stream(f"access/{reference}")[0].position
        await life.record(identified())
        row = rows_of(directory)[reference]
        key = life.keys.keys([row.key_id])[row.key_id]
        whose = Whose(directory.origin, reference, COUNCIL)
        size = life.size()
    delete_and_note(directory, recorded.position, "subject")
    # With every key in hand: the row no longer has the digest that it would be found out by.
    put_row(
        directory,
        reference,
        StaffRow(row.key_id, seal_identity(key, whose, {**PERSON, "name": "Forged"})),
    )
    delete_and_note(directory, registered, "attribution")
    async with Ledger.open(directory.path) as ledger:
        assert (await ledger.status())["tree_size"] == size
        with pytest.raises(VaultUnavailable, match=UNEXPLAINED):
            await ledger.sealed(DPO, recorded.position, ACTOR, "review")
    report = check(directory)
    assert report.verdict is Verdict.FAILED
    noted = "a note that sealed fields from here on are lost: "
    for position, missing in (
        (recorded.position, "its sealed fields are missing and no erasure explains it"),
        (registered, "its sealed fields of class attribution are missing"),
    ):
        found = [failure.reason for failure in report.failures if failure.position == position]
        assert missing in found
        assert found.count(f"{noted}this log's key did not sign it") == 3
        assert found.count(f"{noted}it is of a restore after which the log went on") == 1
    with living(directory) as life, pytest.raises(VaultUnavailable, match=UNEXPLAINED):
        await confirm(life, reference, await ask(life, reference))


async def test_what_a_restore_did_lose_is_declared(sqlite_directory: DataDirectory) -> None:
    """On the word of the key, once; and `fsck` says what a row is then held to no more."""
    with living(sqlite_directory) as life:
        reference = await register(life)
        registered = life.store.stream(f"access/{reference}")[0].position
        size = life.size()
    lost = Lost("attribution", registered, registered, 1, registered, size)
    with closing(open_store(sqlite_directory.database)) as store, store._write() as rows:
        rows.execute("DELETE FROM sealed WHERE position = ?", (registered,))
        rows.execute(
            "UPDATE stream_heads SET attribution_key = NULL WHERE stream = ?",
            (f"access/{reference}",),
        )
        note_lost(rows, sign_loss(sqlite_directory.signing_keys().ed25519, lost))
    async with Ledger.open(sqlite_directory.path) as ledger:
        assert (await ledger.status())["tree_size"] == size + 1
    report = check(sqlite_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert any("digests that they are held to" in line for line in report.not_assessed)


LOST = Lost("subject", 3, 7, 2, 3, 9)


def test_a_signature_is_of_one_note_one_log_and_one_size() -> None:
    signer, other = Ed25519Signer.generate("ledger.test/a"), Ed25519Signer.generate("ledger.test/a")
    note = sign_loss(signer, LOST)
    assert flaw(note, [other.key, signer.key], 9) is None
    unsigned = "this log's key did not sign it"
    assert flaw(note, [other.key], 9) == unsigned
    for size in (0, 8, 10):
        assert flaw(note, [signer.key], size) == "it is of a restore after which the log went on"
    for field in fields(Lost):
        value = getattr(LOST, field.name)
        for changed in (
            "attribution" if isinstance(value, str) else value + 1,
            "\x85",
            None,
            2**70,
        ):
            values: dict[str, Any] = {**asdict(LOST), field.name: changed}
            altered = replace(note, lost=Lost(**values))
            assert flaw(altered, [signer.key], 9) == unsigned
    for bit in range(8 * len(note.signature)):
        flipped = bytearray(note.signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert flaw(replace(note, signature=bytes(flipped)), [signer.key], 9) == unsigned
    for wrong in (b"", note.signature[:-1], note.signature + b"\0"):
        assert flaw(replace(note, signature=wrong), [signer.key], 9) == unsigned


def test_another_logs_note_is_none() -> None:
    """Also where both logs were given the same key."""
    seed = bytes(32)
    note = sign_loss(Ed25519Signer("ledger.test/a", seed), LOST)
    assert flaw(note, [Ed25519Signer("ledger.test/b", seed).key], 9) is not None
    assert flaw(note, [Ed25519Signer("ledger.test/a", seed).key], 9) is None


def test_no_worker_has_a_note_signed(sqlite_directory: DataDirectory) -> None:
    """The writer signs statements that workers ask for: none of them passes for a note."""
    assert len({LOSS, EXPIRY, STATEMENT, MANIFEST} - STATEMENTS) == 4
    signer = sqlite_directory.signing_keys().ed25519
    with closing(open_store(sqlite_directory.database)) as store:
        sequencer = Sequencer(store, signer, sqlite_directory.origin, Clock(), None)
        for what in (LOSS, EXPIRY):
            with pytest.raises(IntegrityAlarm, match="no statement of this log"):
                sequencer.sign_statement(f"{what}\n{sqlite_directory.origin}\n{{}}\n")
