"""The cover of a pack: for whom a bundle was made, for what, until when, signed by the log.

Guarantees: what `Cover.parse` accepts is exactly what `Cover.text` writes, words included, so that
two packs for the same kind of reader differ in nothing but their facts; the digest covers the name
and every byte of every other member, a nonce among them, so that a cover is of one pack alone. A
person's pack always carries the same words, whether or not anything was left out of it
(docs/formats.md, "Packs").
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger_verifier.formats.entry import is_code, is_day, is_hex64, is_instant, is_nonce
from ledger_verifier.formats.errors import FormatError

COVER: Final = "cover"
#: The member by which no two packs have the same contents; one without a cover has lost it.
NONCE: Final = "nonce"
MAX_NONCE: Final = 23
MAX_COVER: Final = 16 * 1024
FORMAT: Final = "hub-ledger/cover@v1"
_ORIGIN = re.compile(r"[^\s+]{1,255}")

AUDITOR: Final = "auditor"
INSPECTOR: Final = "inspector"
SUBJECT: Final = "subject"

_OFFICIAL: Final = (
    "This pack holds one stream of the log. No other stream about the same person was searched.",
    "It is for the named recipient and purpose alone. Keep it safe, make no copy of it, and",
    "destroy it by the day it expires; then confirm to the controller that you have.",
)
#: What every pack for a kind of reader says, line by line.
WORDS: Final = {
    AUDITOR: _OFFICIAL,
    INSPECTOR: _OFFICIAL,
    SUBJECT: (
        "This pack shows what is written down about you. Some things may be left out. The law",
        "allows that in some cases. You can ask the Information Commissioner to check that it was",
        "fair (Data Protection Act 2018, section 51). If you are not happy, you can also tell the",
        "people who gave you this pack, or the Commissioner.",
    ),
}


class CoverError(FormatError):
    """A cover is malformed."""


@dataclass(frozen=True, slots=True)
class Cover:
    """What a cover says. `audience` is a key of WORDS; `recipient` and `purpose` are codes, the
    recipient an organisation's or `person`; `made_at` an instant; `expires_on` a date; `members`
    the digest of what is covered (`digest_of`), in hexadecimal."""

    origin: str
    audience: str
    recipient: str
    purpose: str
    made_at: str
    expires_on: str
    members: str

    @property
    def text(self) -> str:
        """The text that is signed."""
        lines = [
            FORMAT,
            self.origin,
            f"for {self.audience}",
            f"recipient {self.recipient}",
            f"purpose {self.purpose}",
            f"made {self.made_at}",
            f"expires {self.expires_on}",
            f"sha256 {self.members}",
            *WORDS[self.audience],
        ]
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> "Cover":
        """The inverse of `text`; raises CoverError."""
        lines = text.split("\n")
        if lines[0] != FORMAT:
            raise CoverError("the cover is of a format that this version does not know")
        if len(lines) < 9:
            raise CoverError("the cover is cut short")
        names = ("for", "recipient", "purpose", "made", "expires", "sha256")
        values = []
        for line, name in zip(lines[2:8], names, strict=True):
            found, _, value = line.partition(" ")
            if found != name:
                raise CoverError(f"the cover does not say {name} in its place")
            values.append(value)
        cover = cls(lines[1], *values)
        cover.check()
        if cover.text != text:
            raise CoverError("the cover's words are not those of every such pack")
        return cover

    def check(self) -> None:
        """Raise CoverError unless every member is well formed."""
        if not _ORIGIN.fullmatch(self.origin):
            raise CoverError("the cover's origin is not one of a log")
        if self.audience not in WORDS:
            raise CoverError("the cover is for a kind of reader that this version does not know")
        for name, value in (("recipient", self.recipient), ("purpose", self.purpose)):
            if not is_code(value):
                raise CoverError(f"the cover's {name} is not a code")
        if not is_instant(self.made_at) or not is_day(self.expires_on):
            raise CoverError("the cover's times are malformed")
        if not is_hex64(self.members):
            raise CoverError("the cover's digest is malformed")


def encode_nonce(nonce: str) -> bytes:
    """The member of a nonce: 128 random bits in base64url, and a newline."""
    return f"{nonce}\n".encode("ascii")


def is_nonce_member(raw: bytes) -> bool:
    """Whether `encode_nonce` could have made this of a nonce."""
    return raw.isascii() and raw[-1:] == b"\n" and is_nonce(raw[:-1].decode("ascii"))


def digest_of(members: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256, in hexadecimal, of a line for each member but the cover, in order of name: the
    SHA-256 of its content in hexadecimal, two spaces, its name."""
    lines = sorted((name, sha256(data).hexdigest()) for name, data in members if name != COVER)
    return sha256("".join(f"{digest}  {name}\n" for name, digest in lines).encode()).hexdigest()
