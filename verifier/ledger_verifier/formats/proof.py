"""Proofs that an entry is in a log, as one text file (c2sp.org/tlog-proof, draft).

    c2sp.org/tlog-proof@v1
    extra <base64>                  optional, and authenticated by nothing
    index <decimal>
    <base64 hash>                   the leaf's sibling first; none in a tree of one leaf
    <empty line>
    <signed checkpoint, byte for byte>

To verify one: compute the leaf hash from the entry, open the checkpoint under a trust policy (see
`policy.Policy.open`), and give both to `LogProof.verify`.
"""

from dataclasses import dataclass, field

from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.errors import FormatError, ProofError
from ledger_verifier.formats.merkle import HASH_SIZE, verify_inclusion
from ledger_verifier.formats.note import MAX_NOTE, Note
from ledger_verifier.formats.text import (
    MAX_NUMBER,
    decode_base64,
    decode_decimal,
    encode_base64,
)

MAX_HASHES = 63
MAX_EXTRA = 65_535
MAX_PROOF = MAX_NOTE + 100_000
"""The largest proof file accepted, in bytes."""

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class LogProof:
    """The index of an entry, its inclusion path, and the checkpoint that the path leads to.

    Constructing one raises ProofError if a number or a hash is out of bounds. `extra` is whatever
    the application put there: no signature covers it.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes = field(repr=False)
    extra: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hashes", tuple(self.hashes))
        if not 0 <= self.index < MAX_NUMBER:
            raise ProofError("a proof's index is out of range")
        if len(self.hashes) > MAX_HASHES or any(len(h) != HASH_SIZE for h in self.hashes):
            raise ProofError("a proof has too many hashes, or one that is not 32 bytes long")
        if self.extra is not None and len(self.extra) > MAX_EXTRA:
            raise ProofError(f"a proof's extra data are longer than {MAX_EXTRA} bytes")

    def encode(self) -> str:
        """Return the text of the file; raises ProofError if the checkpoint is not UTF-8."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += map(encode_base64, self.hashes)
        try:
            checkpoint = self.checkpoint.decode()
        except UnicodeDecodeError:
            raise ProofError("a proof's checkpoint is not UTF-8") from None
        return "\n".join(lines) + "\n\n" + checkpoint

    @classmethod
    def parse(cls, text: str | bytes) -> "LogProof":
        """Parse a file; raises ProofError. The checkpoint's form is checked, not its signatures."""
        try:
            raw = text.encode() if isinstance(text, str) else text
        except UnicodeEncodeError:
            raise ProofError("a proof is not Unicode text") from None
        if len(raw) > MAX_PROOF:
            raise ProofError(f"a proof is longer than {MAX_PROOF} bytes")
        head, blank, checkpoint = raw.partition(b"\n\n")
        if not blank:
            raise ProofError("a proof has no empty line before its checkpoint")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise ProofError("a proof is not ASCII before its checkpoint") from None
        if lines.pop(0) != _HEADER:
            raise ProofError("a proof does not begin with c2sp.org/tlog-proof@v1")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0)[6:], "a proof's extra line", ProofError)
        if not lines or not lines[0].startswith("index "):
            raise ProofError("a proof has no index line where one belongs")
        index = decode_decimal(lines.pop(0)[6:], "a proof's index", ProofError)
        hashes = tuple(decode_base64(line, "a proof's hash", ProofError) for line in lines)
        _read_checkpoint(checkpoint)
        return cls(index, hashes, checkpoint, extra)

    def verify(self, leaf: bytes, checkpoint: Checkpoint) -> None:
        """Check that this leaf hash is at `index` in the tree of this proof's own checkpoint.

        `checkpoint` is that checkpoint as a trust policy opened it; another one is refused.
        Raises ProofError if inclusion is not shown.
        """
        if _read_checkpoint(self.checkpoint) != checkpoint:
            raise ProofError("the opened checkpoint is not the one in the proof")
        verify_inclusion(leaf, self.index, checkpoint.size, self.hashes, checkpoint.root)


def _read_checkpoint(raw: bytes) -> Checkpoint:
    """Return what the checkpoint says; its signatures are the policy's to verify."""
    try:
        return Checkpoint.parse(Note.parse(raw).text)
    except FormatError as error:
        raise ProofError(f"a proof's checkpoint is malformed: {error}") from None
