"""What is handed to the ledger to be recorded, and what comes back."""

from dataclasses import dataclass
from typing import Any

from ledger_verifier.formats.entry import StreamRef


@dataclass(frozen=True, slots=True)
class Submission:
    """One event as submitted: the CloudEvents envelope, parsed, and its raw data.

    `time` is the instant `YYYY-MM-DDTHH:MM:SS.mmmZ`; types that declare a date keep only its
    London date. `schema` None means the newest. `expected_version` 0 means the stream must not
    exist; None means no expectation.
    """

    id: str
    source: str
    type: str
    schema: int | None
    stream: StreamRef
    time: str
    hub: str
    organisation: str
    actor: str | None
    regime: str | None
    expected_version: int | None
    data: Any


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a submission is in the log. `created` is False when it had been recorded before."""

    position: int
    leaf_hash: bytes
    stream: StreamRef
    version: int
    recorded_at: str
    receipt: str
    created: bool


@dataclass(frozen=True, slots=True)
class StaffReference:
    """A registered staff reference: whose it is, from when until when, and whether it is new."""

    reference: str
    organisation: str
    since: str
    until: str
    created: bool = False

    def to_json(self) -> dict[str, str]:
        """What the hub's system is told, at every try."""
        return {
            "reference": self.reference,
            "organisation": self.organisation,
            "from": self.since,
            "until": self.until,
        }


@dataclass(frozen=True, slots=True)
class StaffRequested:
    """A request to open the staff map that waits for a second person: its id, and until when."""

    opening: str
    expires_at: str
