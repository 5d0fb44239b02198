"""Signed notes, verifier keys and private keys (c2sp.org/signed-note, v1.0.0).

    <text, ending in a newline>
    <empty line>
    — <key name> <base64(key id[4] || signature)>       one or more lines

Parsing checks form alone: a `Note` says nothing about who signed it until a trusted key has
verified one of its lines (see `checkpoint`). Every note has one spelling, so `parse` and `encode`
undo each other byte for byte.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ledger_verifier.formats.errors import NoteError
from ledger_verifier.formats.text import decode_base64, encode_base64, has_control

SIG_ED25519 = 0x01
"""Ed25519 over the note text."""
SIG_COSIGNATURE_ED25519 = 0x04
"""Timestamped Ed25519 cosignature of a checkpoint."""
SIG_MLDSA44 = 0x06
"""Timestamped ML-DSA-44 cosignature of a checkpoint."""

MAX_NOTE = 1_000_000
"""The largest note accepted, in bytes."""
MAX_SIGNATURES = 64
"""The most signature lines accepted (the specification requires at least 16)."""
MAX_NAME = 255
"""The longest key name accepted, in bytes: what an ML-DSA-44 cosignature can commit to."""

PUBLIC_KEY_SIZES = {SIG_ED25519: 32, SIG_COSIGNATURE_ED25519: 32, SIG_MLDSA44: 1312}

_PREFIX = "— "
_PRIVATE_PREFIX = "PRIVATE+KEY+"
_SEED_SIZE = 32
_KEY_ID_DIGITS = frozenset("0123456789abcdef")


def _check_name(name: str) -> None:
    if not name or "+" in name or has_control(name) or any(map(str.isspace, name)):
        raise NoteError("a key name is empty or holds a space, a plus or a control character")
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise NoteError("a key name is not Unicode text") from None
    if len(encoded) > MAX_NAME:
        raise NoteError(f"a key name is longer than {MAX_NAME} bytes")


def _parse_key_id(text: str) -> int:
    if len(text) != 8 or not _KEY_ID_DIGITS.issuperset(text):
        raise NoteError("a key id is not eight lower-case hexadecimal digits")
    return int(text, 16)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name, as a trust policy lists it.

    Constructing one raises NoteError if the name is invalid, the signature type is not one of
    the three above, or the key has the wrong length for it.
    """

    name: str
    sig_type: int
    public_key: bytes = field(repr=False)
    key_id: int = field(init=False, compare=False)
    """First four bytes of SHA-256(name || newline || type || public key), big-endian."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.sig_type not in PUBLIC_KEY_SIZES:
            raise NoteError(f"signature type 0x{self.sig_type:02x} is not supported")
        if len(self.public_key) != PUBLIC_KEY_SIZES[self.sig_type]:
            raise NoteError("a public key has the wrong length for its signature type")
        hashed = b"%b\n%c%b" % (self.name.encode(), self.sig_type, self.public_key)
        object.__setattr__(self, "key_id", int.from_bytes(sha256(hashed).digest()[:4]))

    @property
    def vkey(self) -> str:
        """The key in vkey notation: name, key id and base64 of type and key, joined by plus."""
        encoded = encode_base64(bytes((self.sig_type,)) + self.public_key)
        return f"{self.name}+{self.key_id:08x}+{encoded}"

    @classmethod
    def parse(cls, vkey: str) -> "VerifierKey":
        """Parse vkey notation; raises NoteError, also when the key id is not that of the key."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise NoteError("a verifier key does not have three parts")
        name, key_id, encoded = parts
        decoded = decode_base64(encoded, "a verifier key", NoteError)
        if not decoded:
            raise NoteError("a verifier key is empty")
        key = cls(name, decoded[0], decoded[1:])
        if key.key_id != _parse_key_id(key_id):
            raise NoteError("a verifier key does not have the key id that it states")
        return key


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature line: who claims to have signed, and the bytes after the key id.

    Constructing one raises NoteError if it could not be written as a line.
    """

    name: str
    key_id: int
    signature: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not 0 <= self.key_id < 2**32:
            raise NoteError("a key id is not a 32-bit number")
        if not self.signature:
            raise NoteError("a signature is empty")

    def encode(self) -> str:
        """Return the line without its newline."""
        return f"{_PREFIX}{self.name} {encode_base64(self.key_id.to_bytes(4) + self.signature)}"

    @classmethod
    def parse(cls, line: str) -> "SignatureLine":
        """Parse a line without its newline; raises NoteError."""
        if not line.startswith(_PREFIX):
            raise NoteError("a signature line does not begin with an em dash and a space")
        name, space, encoded = line[len(_PREFIX) :].partition(" ")
        if not space:
            raise NoteError("a signature line has no signature")
        decoded = decode_base64(encoded, "a signature", NoteError)
        if len(decoded) < 4:
            raise NoteError("a signature is too short to hold a key id")
        return cls(name, int.from_bytes(decoded[:4]), decoded[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text, with its final newline, and the signature lines under it, in order.

    Constructing one raises NoteError if it could not be written as a note.
    """

    text: str
    signatures: tuple[SignatureLine, ...]

    def __post_init__(self) -> None:
        if not self.text.endswith("\n"):
            raise NoteError("a note's text does not end in a newline")
        if has_control(self.text, allowed="\n"):
            raise NoteError("a note holds a control character")
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise NoteError(f"a note does not have between 1 and {MAX_SIGNATURES} signatures")

    @classmethod
    def parse(cls, raw: bytes) -> "Note":
        """Parse a whole note; raises NoteError."""
        if len(raw) > MAX_NOTE:
            raise NoteError(f"a note is longer than {MAX_NOTE} bytes")
        try:
            decoded = raw.decode()
        except UnicodeDecodeError:
            raise NoteError("a note is not UTF-8") from None
        text, blank, signed = decoded.rpartition("\n\n")
        if not blank:
            raise NoteError("a note has no empty line before its signatures")
        lines = signed.split("\n")
        if lines.pop():
            raise NoteError("a note does not end in a newline")
        if len(lines) > MAX_SIGNATURES:
            raise NoteError(f"a note has more than {MAX_SIGNATURES} signatures")
        return cls(text + "\n", tuple(map(SignatureLine.parse, lines)))

    def encode(self) -> bytes:
        """Return the bytes of the note; raises NoteError if it is too long to be read back."""
        lines = "".join(line.encode() + "\n" for line in self.signatures)
        try:
            raw = f"{self.text}\n{lines}".encode()
        except UnicodeEncodeError:
            raise NoteError("a note's text is not Unicode text") from None
        if len(raw) > MAX_NOTE:
            raise NoteError(f"a note is longer than {MAX_NOTE} bytes")
        return raw


def format_private_key(key: VerifierKey, seed: bytes) -> str:
    """Return PRIVATE+KEY+name+id+base64(type || seed), the notation of Go's sumdb/note."""
    encoded = encode_base64(bytes((key.sig_type,)) + seed)
    return f"{_PRIVATE_PREFIX}{key.name}+{key.key_id:08x}+{encoded}"


def parse_private_key(text: str, sig_type: int) -> tuple[str, int, bytes]:
    """Return name, key id and 32-byte seed of a private key of this type; raises NoteError.

    The caller derives the public key and must compare its key id with the one returned.
    """
    if not text.startswith(_PRIVATE_PREFIX):
        raise NoteError("a private key does not begin with PRIVATE+KEY+")
    parts = text[len(_PRIVATE_PREFIX) :].split("+", 2)
    if len(parts) != 3:
        raise NoteError("a private key does not have its three parts")
    name, key_id, encoded = parts
    decoded = decode_base64(encoded, "a private key", NoteError)
    if len(decoded) != 1 + _SEED_SIZE or decoded[0] != sig_type:
        raise NoteError(f"a private key is not a seed of signature type 0x{sig_type:02x}")
    _check_name(name)
    return name, _parse_key_id(key_id), decoded[1:]


class Ed25519Signer:
    """A private key of type 0x01, which signs the text of notes."""

    __slots__ = ("_private", "key")

    key: VerifierKey
    """The public half."""

    def __init__(self, name: str, seed: bytes) -> None:
        """Derive the key from its 32-byte seed; raises NoteError."""
        if len(seed) != _SEED_SIZE:
            raise NoteError("a seed is not 32 bytes long")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(name, SIG_ED25519, self._private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> "Ed25519Signer":
        """Make a new key; raises NoteError if the name is invalid."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def parse(cls, private_text: str) -> "Ed25519Signer":
        """Parse a private key; raises NoteError, also when the key id is not that of the key."""
        name, key_id, seed = parse_private_key(private_text, SIG_ED25519)
        signer = cls(name, seed)
        if signer.key.key_id != key_id:
            raise NoteError("a private key does not have the key id that it states")
        return signer

    @property
    def private_text(self) -> str:
        """The private key in text. Keep it secret."""
        return format_private_key(self.key, self._private.private_bytes_raw())

    def sign(self, text: str) -> SignatureLine:
        """Sign a note's text, which ends in a newline; raises NoteError if it does not."""
        if not text.endswith("\n"):
            raise NoteError("a note's text does not end in a newline")
        return SignatureLine(self.key.name, self.key.key_id, self._private.sign(text.encode()))


def is_signed_by(note: Note, key: VerifierKey) -> bool:
    """Whether a line of the note is an Ed25519 signature of type 0x01 by this key over its text,
    and no line that claims to be fails."""
    lines = [n for n in note.signatures if (n.name, n.key_id) == (key.name, key.key_id)]
    if key.sig_type != SIG_ED25519 or not lines:
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(key.public_key)
        for line in lines:
            public.verify(line.signature, note.text.encode())
    except (InvalidSignature, ValueError):
        # ValueError: the key's bytes are no key at all, so nothing verifies under it.
        return False
    return True
