"""Checkpoints and their cosignatures (c2sp.org/tlog-checkpoint v1.0.0, tlog-cosignature v1.1.0).

A checkpoint is a signed note whose text is the log's origin, its size and its root. Three kinds
of signature are understood: Ed25519 over the text (0x01), and the timestamped cosignatures with
Ed25519 (0x04) and ML-DSA-44 (0x06). A cosignature with a timestamp says: at that time this was
the largest consistent tree of this origin that the signer had seen. An ML-DSA-44 cosignature does
not cover extension lines, so it is neither made nor accepted over a checkpoint that has any.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from ledger_verifier.formats.errors import CheckpointError, NoteError, UnsignedError
from ledger_verifier.formats.merkle import EMPTY_ROOT, HASH_SIZE
from ledger_verifier.formats.note import (
    SIG_COSIGNATURE_ED25519,
    SIG_ED25519,
    SIG_MLDSA44,
    Note,
    SignatureLine,
    VerifierKey,
    format_private_key,
    parse_private_key,
)
from ledger_verifier.formats.text import (
    MAX_NUMBER,
    decode_base64,
    decode_decimal,
    encode_base64,
    has_control,
)

_SIGNATURE_SIZES = {SIG_ED25519: 64, SIG_COSIGNATURE_ED25519: 8 + 64, SIG_MLDSA44: 8 + 2420}
_SUBTREE_LABEL = b"subtree/v1\n\x00"
_SEED_SIZE = 32


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: at `size` entries, its tree has this root.

    Constructing one raises CheckpointError if it could not be written as a note's text, or if it
    claims a root for no entries other than the root of the empty tree.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for line in (self.origin, *self.extensions):
            if not line or has_control(line):
                raise CheckpointError("a checkpoint line is empty or holds a control character")
        if not 0 <= self.size <= MAX_NUMBER:
            raise CheckpointError("the tree size is out of range")
        if len(self.root) != HASH_SIZE:
            raise CheckpointError("the root is not 32 bytes long")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointError("a tree of size 0 has another root than the empty tree")

    @property
    def text(self) -> str:
        """The note's text: origin, size, root and extensions, a line each."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Parse a note's text; raises CheckpointError. The result's `text` equals the input."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop():
            raise CheckpointError("a checkpoint is not three or more lines that end in a newline")
        origin, size, root, *extensions = lines
        return cls(
            origin,
            decode_decimal(size, "the tree size", CheckpointError),
            decode_base64(root, "the root", CheckpointError),
            tuple(extensions),
        )


def _ed25519_message(checkpoint: Checkpoint, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{checkpoint.text}".encode()


def _mldsa44_message(name: str, checkpoint: Checkpoint, timestamp: int) -> bytes:
    """Return the `cosigned_message` structure for the whole tree (start 0, end size)."""
    if checkpoint.extensions:
        raise CheckpointError("an ML-DSA-44 cosignature does not cover extension lines")
    cosigner, origin = name.encode(), checkpoint.origin.encode()
    if len(cosigner) > 255 or len(origin) > 255:
        raise CheckpointError("a name is too long for an ML-DSA-44 cosignature")
    return b"".join(
        (
            _SUBTREE_LABEL,
            bytes((len(cosigner),)) + cosigner,
            timestamp.to_bytes(8),
            bytes((len(origin),)) + origin,
            bytes(8),
            checkpoint.size.to_bytes(8),
            checkpoint.root,
        )
    )


@lru_cache(maxsize=256)
def _public_key(key: VerifierKey) -> Ed25519PublicKey | MLDSA44PublicKey:
    if key.sig_type == SIG_MLDSA44:
        return MLDSA44PublicKey.from_public_bytes(key.public_key)
    return Ed25519PublicKey.from_public_bytes(key.public_key)


def _check_timestamp(timestamp: int) -> None:
    if not 0 <= timestamp <= MAX_NUMBER:
        raise CheckpointError("a cosignature's timestamp is out of range")


def verify_line(key: VerifierKey, checkpoint: Checkpoint, line: SignatureLine) -> int:
    """Check that `key` made this signature line over this checkpoint.

    Returns the cosignature's timestamp in POSIX seconds; 0 where none is claimed, as always for
    type 0x01. Raises CheckpointError if the line is another key's or does not verify.
    """
    if (line.name, line.key_id) != (key.name, key.key_id):
        raise CheckpointError("a signature line names another key")
    signature, timestamp = line.signature, 0
    if len(signature) != _SIGNATURE_SIZES[key.sig_type]:
        raise CheckpointError(f"the signature by {key.name} has the wrong length")
    if key.sig_type == SIG_ED25519:
        message = checkpoint.text.encode()
    else:
        timestamp, signature = int.from_bytes(signature[:8]), signature[8:]
        _check_timestamp(timestamp)
        if key.sig_type == SIG_MLDSA44:
            message = _mldsa44_message(key.name, checkpoint, timestamp)
        else:
            message = _ed25519_message(checkpoint, timestamp)
    try:
        _public_key(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        # ValueError: the key's bytes are no key at all, so nothing verifies under it.
        raise CheckpointError(f"the signature by {key.name} does not verify") from None
    return timestamp


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint whose every line by a known key has been verified, at least one in all."""

    checkpoint: Checkpoint
    note: Note
    signers: tuple[VerifierKey, ...]
    """The known keys that signed, each once, in the order of their first lines."""
    timestamps: dict[VerifierKey, int] = field(hash=False)
    """For each signer the latest timestamp it claims, POSIX seconds; 0 where it claims none."""


def open_checkpoint(raw: bytes, keys: Iterable[VerifierKey]) -> OpenedCheckpoint:
    """Parse a signed checkpoint and verify every line by one of these keys.

    Lines by other keys are ignored, as the specification demands. Raises NoteError or
    CheckpointError if it is malformed or if a line by a known key does not verify, UnsignedError if
    there is no such line. Who may sign for this origin is the caller's to decide from `signers`.
    """
    known: dict[tuple[str, int], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise CheckpointError("two trusted keys share a name and a key id")
    note = Note.parse(raw)
    checkpoint = Checkpoint.parse(note.text)
    timestamps: dict[VerifierKey, int] = {}
    for line in note.signatures:
        signer = known.get((line.name, line.key_id))
        if signer is not None:
            timestamp = verify_line(signer, checkpoint, line)
            timestamps[signer] = max(timestamp, timestamps.get(signer, 0))
    if not timestamps:
        raise UnsignedError(checkpoint.origin)
    return OpenedCheckpoint(checkpoint, note, tuple(timestamps), timestamps)


class _Cosigner:
    """What the two cosigners share: key text and the layout of a timestamped signature."""

    __slots__ = ("_seed", "key")

    key: VerifierKey
    """The public half."""

    def __init__(self, key: VerifierKey, seed: bytes) -> None:
        self.key = key
        self._seed = seed

    @property
    def private_text(self) -> str:
        """The private key in text. Keep it secret."""
        return format_private_key(self.key, self._seed)

    def _line(self, timestamp: int, signature: bytes) -> SignatureLine:
        return SignatureLine(self.key.name, self.key.key_id, timestamp.to_bytes(8) + signature)


def _check_seed(seed: bytes) -> None:
    if len(seed) != _SEED_SIZE:
        raise NoteError("a seed is not 32 bytes long")


class Ed25519Cosigner(_Cosigner):
    """A private key of type 0x04.

    What it signs does not hold its name: never give one key to two cosigners.
    """

    __slots__ = ("_private",)

    def __init__(self, name: str, seed: bytes) -> None:
        """Derive the key from its 32-byte seed; raises NoteError."""
        _check_seed(seed)
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        super().__init__(VerifierKey(name, SIG_COSIGNATURE_ED25519, public), seed)

    @classmethod
    def generate(cls, name: str) -> "Ed25519Cosigner":
        """Make a new key; raises NoteError if the name is invalid."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, private_text: str) -> "Ed25519Cosigner":
        """Parse a private key; raises NoteError, also when the key id is not that of the key."""
        name, key_id, seed = parse_private_key(private_text, SIG_COSIGNATURE_ED25519)
        signer = cls(name, seed)
        if signer.key.key_id != key_id:
            raise NoteError("a private key does not have the key id that it states")
        return signer

    def cosign(self, checkpoint: Checkpoint, timestamp: int) -> SignatureLine:
        """Cosign at `timestamp` (POSIX seconds); raises CheckpointError if it is out of range."""
        _check_timestamp(timestamp)
        return self._line(timestamp, self._private.sign(_ed25519_message(checkpoint, timestamp)))


class MLDSA44Cosigner(_Cosigner):
    """A private key of type 0x06, for logs and witnesses alike. Its signatures are randomised."""

    __slots__ = ("_private",)

    def __init__(self, name: str, seed: bytes) -> None:
        """Derive the key from its 32-byte seed (FIPS 204's xi); raises NoteError."""
        _check_seed(seed)
        self._private = MLDSA44PrivateKey.from_seed_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        super().__init__(VerifierKey(name, SIG_MLDSA44, public), seed)

    @classmethod
    def generate(cls, name: str) -> "MLDSA44Cosigner":
        """Make a new key; raises NoteError if the name is invalid."""
        return cls(name, MLDSA44PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, private_text: str) -> "MLDSA44Cosigner":
        """Parse a private key; raises NoteError, also when the key id is not that of the key."""
        name, key_id, seed = parse_private_key(private_text, SIG_MLDSA44)
        signer = cls(name, seed)
        if signer.key.key_id != key_id:
            raise NoteError("a private key does not have the key id that it states")
        return signer

    def cosign(self, checkpoint: Checkpoint, timestamp: int) -> SignatureLine:
        """Cosign at `timestamp` (POSIX seconds; 0 claims no time).

        Raises CheckpointError if the timestamp is out of range, or the checkpoint has extension
        lines or too long an origin.
        """
        _check_timestamp(timestamp)
        message = _mldsa44_message(self.key.name, checkpoint, timestamp)
        return self._line(timestamp, self._private.sign(message))
