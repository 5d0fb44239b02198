"""The word of a restore on what it lost: a note in the event store, signed by the log's own key.

    hub-ledger/restore-loss@v1
    <origin>
    <the note's fields, canonical JSON>

is the text that is signed, as a note's (C2SP signed-note). It is made again from the stored fields
and never read, so that no other text has its signature. Its first line is that of nothing else the
key signs, its third no root of a checkpoint; and the writer, who signs statements for workers,
does not sign this one.

Guarantees: what `flaw` finds nothing wrong with was lost by a restore that the holder of the key
ran, and that led to a log of exactly this size. Nothing is appended between that restore and the
entry that declares the loss, so a note that is kept and put back afterwards is of no use.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from ledger.store.lost import LossNote
from ledger_verifier.formats.entry import canonical
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.note import (
    Ed25519Signer,
    Note,
    SignatureLine,
    VerifierKey,
    is_signed_by,
)
from ledger_verifier.meaning.schemas import Lost

FORMAT: Final = "hub-ledger/restore-loss@v1"


def sign_loss(signer: Ed25519Signer, lost: Lost) -> LossNote:
    """What a restore notes of one loss. The key's name is the log's origin."""
    return LossNote(lost, signer.sign(_text(signer.key.name, lost)).signature)


def flaw(note: LossNote, keys: Iterable[VerifierKey], size: int) -> str | None:
    """Why a note is not believed by a log of this size, whose Ed25519 keys these are; None where it
    is."""
    if not any(_is_signed(note, key) for key in keys):
        return "this log's key did not sign it"
    if note.lost.log_size != size:
        return "it is of a restore after which the log went on"
    return None


def _is_signed(note: LossNote, key: VerifierKey) -> bool:
    try:
        line = SignatureLine(key.name, key.key_id, note.signature)
        return is_signed_by(Note(_text(key.name, note.lost), (line,)), key)
    except FormatError:
        # What is stored need not be what can be written as a note at all.
        return False


def _text(origin: str, lost: Lost) -> str:
    return f"{FORMAT}\n{origin}\n{canonical(asdict(lost)).decode()}\n"
