"""Salted commitments to sealed fields, after RFC 9901 (SD-JWT), section 4.2.

Guarantees: a disclosure opens exactly one digest, is fresh for every field of every entry (256
random bits of salt), and reveals nothing about its value to whoever holds the digest alone. The
text of a disclosure is the unpadded base64url of the RFC 8785 array `[salt, name, value]`; the
digest is the unpadded base64url of the SHA-256 of that ASCII text.
"""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ledger_verifier.formats.entry import canonical, load_canonical
from ledger_verifier.formats.errors import DisclosureError, EntryError

SALT_BYTES: Final = 32
#: Longest text accepted from outside: a sealed value is bounded by the size of one event.
MAX_TEXT: Final = 512 * 1024

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_SALT = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def b64url(raw: bytes) -> str:
    """Unpadded base64url (RFC 4648, section 5)."""
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """Bytes of unpadded base64url; raises DisclosureError unless the text is canonical."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise DisclosureError("not base64url") from error
    if b64url(raw) != text:
        raise DisclosureError("not canonical base64url")
    return raw


@dataclass(frozen=True, slots=True)
class Disclosure:
    """An opened field: salt (base64url), name, value, and the exact text that was committed to."""

    salt: str
    name: str
    value: Any
    text: str

    @property
    def digest(self) -> str:
        """What the entry holds in `data._sd`."""
        return digest_of(self.text)

    @classmethod
    def make(cls, name: str, value: Any) -> "Disclosure":
        """A new commitment under a fresh salt; an absent field is committed as None.

        Raises DisclosureError or EntryError for what `parse` would refuse: a commitment that cannot
        be read back would lose its field for good.
        """
        return _under(secrets.token_bytes(SALT_BYTES), name, value)

    @classmethod
    def parse(cls, text: str) -> "Disclosure":
        """Read a disclosure from outside; raises DisclosureError, never with its content."""
        if len(text) > MAX_TEXT:
            raise DisclosureError("disclosure is too long")
        try:
            parts = load_canonical(b64url_decode(text))
        except EntryError as error:
            raise DisclosureError("disclosure is not canonical JSON in base64url") from error
        if type(parts) is not list or len(parts) != 3:
            raise DisclosureError("disclosure is not an array of salt, name and value")
        salt, name, value = parts
        if type(salt) is not str or _SALT.fullmatch(salt) is None:
            raise DisclosureError("disclosure has not a salt of 256 bits")
        if type(name) is not str or _NAME.fullmatch(name) is None:
            raise DisclosureError("disclosure has not a field name")
        return cls(salt, name, value, text)


def commit(fields: Iterable[tuple[str, Any]]) -> list[Disclosure]:
    """Commitments to several fields, each under a fresh salt; all randomness is drawn at once.
    Raises as `Disclosure.make` does."""
    items = list(fields)
    random = secrets.token_bytes(SALT_BYTES * len(items))
    return [
        _under(random[SALT_BYTES * index : SALT_BYTES * (index + 1)], name, value)
        for index, (name, value) in enumerate(items)
    ]


def _under(salt: bytes, name: str, value: Any) -> Disclosure:
    """A commitment under this salt; it reads back as what it was made of, or is not made."""
    text_salt = b64url(salt)
    raw = canonical([text_salt, name, value])
    if _NAME.fullmatch(name) is None:
        raise DisclosureError("a field name is lower-case letters, digits and underscores")
    # A plain text in ASCII, by far the most common value, needs no second look.
    plain = value is None or (type(value) is str and value.isascii())
    if not plain and load_canonical(raw) != [text_salt, name, value]:
        raise EntryError("a value does not read back as what it was")
    text = b64url(raw)
    if len(text) > MAX_TEXT:
        raise DisclosureError("disclosure is too long")
    return Disclosure(text_salt, name, value, text)


def digest_of(text: str) -> str:
    """Digest of a disclosure's text, as it stands in `data._sd`."""
    return b64url(hashlib.sha256(text.encode("ascii")).digest())
