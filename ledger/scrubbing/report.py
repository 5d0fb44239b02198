"""What scrubbing has done and what it has not, in words for whoever runs the ledger."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Scrubbed:
    """What was done; what should have been and could not be, with what to do; and what is beyond
    the reach of the command."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    beyond: list[str] = field(default_factory=list)
