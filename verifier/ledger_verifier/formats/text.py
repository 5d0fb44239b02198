"""The scalars that the text formats share, each with exactly one accepted spelling.

Base64 is the standard alphabet of RFC 4648 section 4, padded, with zero trailing bits; numbers are
ASCII decimal without sign or leading zeros. A second spelling of a signed value would be a second
note with the same meaning, so every other spelling is refused.
"""

import base64
import binascii
import re

from ledger_verifier.formats.errors import FormatError

MAX_NUMBER = 2**63 - 1
"""The largest tree size, index and timestamp: C2SP's limit for timestamps, used for all."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def encode_base64(data: bytes) -> str:
    """Return `data` in padded standard base64."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str, error: type[FormatError]) -> bytes:
    """Return the bytes of canonical base64; raise `error` naming `what` for anything else."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise error(f"{what} is not base64") from None
    if encode_base64(data) != text:
        raise error(f"{what} is not canonical base64")
    return data


def decode_decimal(text: str, what: str, error: type[FormatError]) -> int:
    """Return a number from 0 to 2^63 - 1; raise `error` naming `what` for anything else."""
    if not _DECIMAL.fullmatch(text):
        raise error(f"{what} is not a decimal number without leading zeros")
    number = int(text)
    if number > MAX_NUMBER:
        raise error(f"{what} is larger than 2^63 - 1")
    return number


def has_control(text: str, allowed: str = "") -> bool:
    """Tell whether `text` holds an ASCII control character below U+0020 outside `allowed`."""
    return any(character < " " and character not in allowed for character in text)
