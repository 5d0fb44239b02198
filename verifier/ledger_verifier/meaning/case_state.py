"""What is known of one case: its state, the shares of its data, and the acts that made it.

Guarantees: frozen values of what is open in the entries, nothing sealed; `from_json` reads back
exactly what `to_json` wrote. How a state comes about is in `ledger_verifier.meaning.case`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

#: What a person is owed when they are told, in the order it is shown.
CHECKLIST: Final = (
    "told_reasons",
    "told_legal_basis",
    "told_retention",
    "told_recipients",
    "told_rights",
    "told_complaint_to_controller",
    "told_complaint_to_commissioner",
)


def _members(value: "Act | Disclosed | CaseState") -> dict[str, Any]:
    """Names and values, as `dataclasses.asdict` would have them for flat values, without copies."""
    return {name: getattr(value, name) for name in value.__slots__}


@dataclass(frozen=True, slots=True)
class Act:
    """An entry that has a say in the state: its event id, and the open fields it is heard for.

    `corrected` means that a later entry of the stream says that this one was a mistake.
    """

    id: str
    type: str
    occurred_at: str
    said: tuple[tuple[str, str | int | bool], ...] = ()
    corrected: bool = False

    def text(self, name: str) -> str | None:
        """An open field that should be a string, or None: a log may register other kinds."""
        value = dict(self.said).get(name)
        return value if isinstance(value, str) else None

    def to_json(self) -> dict[str, Any]:
        """The act as JSON values."""
        return {**_members(self), "said": dict(self.said)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Act":
        """The inverse of `to_json`; raises TypeError, KeyError or AttributeError for what is not
        one."""
        return cls(**{**value, "said": tuple(sorted(value["said"].items()))})


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One share of the person's data. `disclosed_at` None: the recipient answered for it, or was
    told to erase it, but the sender never recorded it. An id used twice makes two of these, so
    that the second share cannot hide; one that is `corrected` stays for the same reason."""

    id: str
    recipient_category: str | None
    purpose: str | None = None
    gateway: str | None = None
    agreement_ref: str | None = None
    disclosed_at: str | None = None
    recipient_retention_until: str | None = None
    acknowledged_on: str | None = None
    erasure_requested_on: str | None = None
    erasure_confirmed_on: str | None = None
    copies_found_band: str | None = None
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class CaseState:
    """A case after `version` entries. Times are those of the entries: a date or an instant."""

    stream: str
    hub: str
    organisation: str
    version: int = 0
    opened_at: str = ""
    last_occurred_at: str = ""
    last_recorded_at: str = ""
    identified_on: str | None = None
    purpose: str | None = None
    screening: str | None = None
    screened_on: str | None = None
    notified_on: str | None = None
    told: tuple[str, ...] = ()
    support: str | None = None
    support_offered_on: str | None = None
    support_answered_on: str | None = None
    reviewed_on: str | None = None
    closed_on: str | None = None
    review_due: str | None = None
    erase_due: str | None = None
    erasure_ordered_on: str | None = None
    erased_at: str | None = None
    erased_through: int | None = None
    disclosures: tuple[Disclosed, ...] = ()
    acts: tuple[Act, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    @property
    def status(self) -> str:
        """Where the case is in its life: the furthest stage that was reached."""
        stages = (
            (self.erased_at, "erased"),
            (self.erasure_ordered_on, "erasure-due"),
            (self.closed_on, "closed"),
            (self.screening == "not-accepted", "not-accepted"),
            (self.support, self.support or ""),
            (self.informed, "informed"),
            (self.screening == "accepted", "accepted"),
            (self.identified_on, "identified"),
        )
        return next((name for reached, name in stages if reached), "opened")

    @property
    def informed(self) -> bool:
        """Whether telling the reasons for the identification is recorded."""
        return "told_reasons" in self.told

    @property
    def not_told(self) -> tuple[str, ...]:
        """What of the checklist no notification has told yet."""
        return tuple(item for item in CHECKLIST if item not in self.told)

    @property
    def unacknowledged(self) -> int:
        """How many disclosures no recipient has acknowledged."""
        return sum(1 for share in self.disclosures if share.acknowledged_on is None)

    @property
    def erasures_unconfirmed(self) -> int:
        """How many disclosures a recipient was told to erase and has not confirmed."""
        return sum(
            1
            for share in self.disclosures
            if share.erasure_requested_on is not None and share.erasure_confirmed_on is None
        )

    def to_json(self) -> dict[str, Any]:
        """The state as JSON values, what follows from it included; always the same keys in the
        same order. `from_json` reads it back."""
        return {
            **_members(self),
            "told": list(self.told),
            "disclosures": [_members(share) for share in self.disclosures],
            "acts": [act.to_json() for act in self.acts],
            "counts": dict(self.counts),
            "status": self.status,
            "informed": self.informed,
            "not_told": list(self.not_told),
            "unacknowledged": self.unacknowledged,
            "erasures_unconfirmed": self.erasures_unconfirmed,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "CaseState":
        """The state that `to_json` wrote; raises ValueError when the value is of another shape."""
        try:
            own = {field.name: value[field.name] for field in fields(cls)}
            own["told"] = tuple(own["told"])
            own["disclosures"] = tuple(Disclosed(**share) for share in own["disclosures"])
            own["acts"] = tuple(Act.from_json(act) for act in own["acts"])
            own["counts"] = tuple(sorted(own["counts"].items()))
            return cls(**own)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("not the stored state of a case") from error
