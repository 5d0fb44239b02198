"""Succession: what a log says of the one that it goes on for, whose last entries are lost.

Guarantees: a `Predecessor` names another origin; its checkpoints are of that log and signed by the
key it names, and the same key has signed that the log which says so, with the keys it has, goes on
for it. What is lost is everything from the end of what was kept to the largest of the checkpoints.
That the key was the old log's own is for whoever knows that log to say.

Format: docs/formats.md, "Registered schemas".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger_verifier.formats.checkpoint import Checkpoint, open_checkpoint
from ledger_verifier.formats.errors import EntryError, FormatError
from ledger_verifier.formats.note import SIG_ED25519, Ed25519Signer, Note, VerifierKey

STATEMENT: Final = "hub-ledger/succession@v1"
#: Most checkpoints that an entry has room for.
MAX_CHECKPOINTS: Final = 16
_MEMBERS: Final = frozenset(
    {"origin", "key", "kept", "lost_first", "lost_last", "checkpoints", "statement"}
)


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The log that another goes on for: its origin and Ed25519 key, how many entries of it were
    kept, and its known checkpoints, largest first."""

    origin: str
    key: VerifierKey
    kept: int
    checkpoints: tuple[Checkpoint, ...]

    @property
    def size(self) -> int:
        """Entries that it is known to have had."""
        return self.checkpoints[0].size

    @property
    def words(self) -> str:
        """What a report says of it."""
        kept = f"its first {self.kept} entries were kept" if self.kept else "nothing of it was kept"
        return (
            f"the log that this one goes on for, {self.origin}, as entry 0 says: of {self.size} "
            f"entries that its key {self.key.key_id:08x} vouched for, those from {self.kept} to "
            f"{self.size - 1} are lost, and {kept}"
        )


def statement_text(predecessor: str, origin: str, keys: Iterable[str]) -> str:
    """What the old log's key signs: that the log of this origin and these keys goes on for it."""
    return "\n".join([STATEMENT, predecessor, origin, *keys]) + "\n"


def describe(
    signer: Ed25519Signer,
    predecessor: str,
    origin: str,
    keys: Sequence[str],
    kept: int,
    checkpoints: Sequence[bytes],
) -> dict[str, Any]:
    """The `predecessor` of a new log's `ledger.opened`: `checkpoints` are signed notes of the old
    log, largest first. Raises EntryError when it would not be one."""
    text = statement_text(predecessor, origin, keys)
    value = {
        "origin": predecessor,
        "key": signer.key.vkey,
        "kept": kept,
        "lost_first": kept,
        "lost_last": Checkpoint.parse(Note.parse(checkpoints[0]).text).size - 1,
        "checkpoints": [raw.decode() for raw in checkpoints],
        "statement": Note(text, (signer.sign(text),)).encode().decode(),
    }
    parse_predecessor(value, origin, keys)
    return value


def parse_predecessor(value: Any, origin: str, keys: Sequence[str]) -> Predecessor:
    """Read the `predecessor` of the log with this origin and these keys; raises EntryError."""
    if type(value) is not dict or value.keys() != _MEMBERS:
        raise EntryError("data.predecessor: not null or an object with its members")
    try:
        return _read(value, origin, keys)
    except (FormatError, TypeError, ValueError) as error:
        raise EntryError(f"data.predecessor: {error}") from error


def _read(value: dict[str, Any], origin: str, keys: Sequence[str]) -> Predecessor:
    texts = value["checkpoints"]
    if type(texts) is not list or not 1 <= len(texts) <= MAX_CHECKPOINTS:
        raise ValueError("has no list of 1 to 16 checkpoints")
    strings = [value["origin"], value["key"], value["statement"], *texts]
    numbers = [value["kept"], value["lost_first"], value["lost_last"]]
    if any(type(one) is not str for one in strings) or any(type(n) is not int for n in numbers):
        raise ValueError("has a member of another type")
    key = VerifierKey.parse(value["key"])
    if key.sig_type != SIG_ED25519 or key.name != value["origin"] or key.name == origin:
        raise ValueError("does not name another log and its Ed25519 key")
    checkpoints = tuple(open_checkpoint(text.encode(), [key]).checkpoint for text in texts)
    sizes = [checkpoint.size for checkpoint in checkpoints]
    if any(checkpoint.origin != key.name for checkpoint in checkpoints):
        raise ValueError("has a checkpoint of another log")
    if sizes != sorted(set(sizes), reverse=True):
        raise ValueError("does not list its checkpoints by size, the largest first")
    kept = value["kept"]
    if kept not in (0, *sizes[1:]) or numbers[1:] != [kept, sizes[0] - 1] or sizes[0] <= kept:
        raise ValueError("does not say what is lost by its checkpoints")
    _check_statement(value["statement"], key, statement_text(key.name, origin, keys))
    return Predecessor(key.name, key, kept, checkpoints)


def _check_statement(raw: str, key: VerifierKey, text: str) -> None:
    note = Note.parse(raw.encode())
    public = Ed25519PublicKey.from_public_bytes(key.public_key)
    if note.text != text:
        raise ValueError("its statement is about another log")
    for line in note.signatures:
        if (line.name, line.key_id) == (key.name, key.key_id):
            try:
                public.verify(line.signature, text.encode())
            except InvalidSignature:
                break
            return
    raise ValueError("its statement is not signed by the old log's key")
