"""Sealing: the disclosures of an entry's sealed fields, encrypted under its stream's keys.

Guarantees: AES-256-GCM with a random 96-bit nonce; the associated data binds a ciphertext to this
ledger, this event, this stream and this class of fields (a row of the staff map to this ledger, the
reference and its organisation), so that a row moved elsewhere does not open. What is encrypted is
the text of the disclosures, one a line: opening gives back exactly what the entry committed to.
"""

import os
import struct
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import VaultUnavailable
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.errors import DisclosureError

_DOMAIN: Final = "hub-ledger/sealed@v1"
_STAFF_DOMAIN: Final = "hub-ledger/staff@v1"


def associated_data(origin: str, source: str, event_id: str, stream: str, key_class: str) -> bytes:
    """What the ciphertext of an entry's fields is bound to."""
    return _bound_to(_DOMAIN, origin, source, event_id, stream, key_class)


def staff_data(origin: str, reference: str, organisation: str) -> bytes:
    """What the ciphertext of a row of the staff map is bound to."""
    return _bound_to(_STAFF_DOMAIN, origin, reference, organisation)


def _bound_to(*texts: str) -> bytes:
    """Length-prefixed parts, the first of them a domain string."""
    parts = [text.encode() for text in texts]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def seal(key: bytes, bound_to: bytes, disclosures: Iterable[Disclosure]) -> bytes:
    """Nonce and ciphertext of the disclosures."""
    nonce = os.urandom(12)
    text = "\n".join(disclosure.text for disclosure in disclosures)
    return nonce + AESGCM(key).encrypt(nonce, text.encode("ascii"), bound_to)


def open_sealed(key: bytes, bound_to: bytes, ciphertext: bytes) -> list[Disclosure]:
    """The disclosures again; raises VaultUnavailable when they do not open."""
    try:
        text = AESGCM(key).decrypt(ciphertext[:12], ciphertext[12:], bound_to).decode("ascii")
        return [Disclosure.parse(line) for line in text.split("\n")] if text else []
    except (InvalidTag, UnicodeDecodeError, DisclosureError, ValueError) as error:
        raise VaultUnavailable("Sealed fields do not open under the key they name.") from error
