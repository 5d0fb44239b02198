"""What the parsers and verifiers of this package raise.

Bytes may come from anyone, so a parser here raises a `FormatError` or returns: no other exception
escapes it. A message names the rule that was broken and where; it never repeats a sealed value,
a private key or a stretch of the input, but for the name of a log.
"""

from collections.abc import Sequence
from typing import Final

#: Most characters of a log's name that a message repeats.
MAX_SHOWN: Final = 255


class FormatError(ValueError):
    """Some bytes are not what they claim to be, or do not prove what they claim to prove."""


class NoteError(FormatError):
    """A signed note, a verifier key or a private key is malformed."""


class CheckpointError(FormatError):
    """A checkpoint is malformed, or a signature on it by a trusted key does not verify."""


class UnsignedError(CheckpointError):
    """No line of a checkpoint is by a trusted key. `origin` is the log it says it is of."""

    def __init__(self, origin: str) -> None:
        super().__init__("the checkpoint has no signature by a trusted key")
        self.origin = origin


class OtherLogError(CheckpointError):
    """A checkpoint is of a log that the policy does not name: nothing can be told of it."""

    def __init__(self, origin: str, trusted: Sequence[str]) -> None:
        named = " and ".join(trusted[:3]) + (" and others" if len(trusted) > 3 else "")
        super().__init__(
            f"what was given is of the log {origin[:MAX_SHOWN]}, and the policy trusts {named}: "
            "check the address or the file, or use the policy of that log"
        )


class ProofError(FormatError):
    """A Merkle proof or a tlog-proof file is malformed, or does not lead to the root."""


class TileError(FormatError):
    """A tile path, a hash tile or an entry bundle is malformed."""


class PolicyError(FormatError):
    """A trust policy file is malformed or contradicts itself."""


class EntryError(FormatError):
    """An entry is not canonical, or not of the shape its format or its registration declares."""


class UnknownFormatError(EntryError):
    """An entry is of a format that this version does not know: unverifiable, rather than wrong."""


class DisclosureError(FormatError):
    """A disclosure is malformed, or belongs to no commitment of its entry."""


class BundleError(FormatError):
    """A bundle is not the deterministic archive that the format prescribes."""


class CertificateError(FormatError):
    """An erasure certificate is malformed, or not signed by its log."""


class DamagedMemberError(BundleError):
    """The bytes of a member are not those that its checksum was made of. `content` holds them: what
    else vouches for them may tell which are wrong."""

    def __init__(self, reason: str, content: bytes) -> None:
        super().__init__(reason)
        self.content = content
