"""The state of one case, folded from the open parts of its entries.

Guarantees: `fold` is pure and total. The same entries in the same order give the same state,
wherever the fold was stopped, stored with `to_json` and taken up again. An entry whose type this
module does not know, or whose open fields are not what it expects, advances the version, the times
and the counts, and nothing else: a verifier meets newer logs than itself. Nothing sealed is read,
so a state holds what any reader of the entries could work out, and says so: `informed` means that
telling the reasons was recorded, not that it was the person who was told.

Follows domain.md 3.2 (the life of a case), less the states that only a `restricted` stream shows:
nothing withheld is ever in a case stream. `erased` means that destruction of the subject key was
recorded; whether recipients and backups have followed is told by later types.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

Entry = Mapping[str, Any]
Changes = dict[str, Any]

#: What a person is owed when they are told, in the order it is shown (domain.md 4.2).
CHECKLIST: Final = (
    "told_reasons",
    "told_legal_basis",
    "told_retention",
    "told_recipients",
    "told_rights",
    "told_complaint_to_controller",
    "told_complaint_to_commissioner",
)


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One share of the person's data. `disclosed_at` None: acknowledged, but never recorded by the
    sender. An id used twice makes two of these, so that the second share cannot hide."""

    id: str
    recipient_category: str | None
    purpose: str | None = None
    gateway: str | None = None
    agreement_ref: str | None = None
    disclosed_at: str | None = None
    recipient_retention_until: str | None = None
    acknowledged_on: str | None = None


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
    notified_on: str | None = None
    told: tuple[str, ...] = ()
    support: str | None = None
    support_offered_on: str | None = None
    closed_on: str | None = None
    review_due: str | None = None
    erase_due: str | None = None
    erasure_ordered_on: str | None = None
    erased_at: str | None = None
    erased_through: int | None = None
    disclosures: tuple[Disclosed, ...] = ()
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

    def to_json(self) -> dict[str, Any]:
        """The state as JSON values, what follows from it included; always the same keys in the
        same order. `from_json` reads it back."""
        return {
            **asdict(self),
            "told": list(self.told),
            "disclosures": [asdict(share) for share in self.disclosures],
            "counts": dict(self.counts),
            "status": self.status,
            "informed": self.informed,
            "not_told": list(self.not_told),
            "unacknowledged": self.unacknowledged,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "CaseState":
        """The state that `to_json` wrote; raises ValueError when the value is of another shape."""
        try:
            own = {field.name: value[field.name] for field in fields(cls)}
            own["told"] = tuple(own["told"])
            own["disclosures"] = tuple(Disclosed(**share) for share in own["disclosures"])
            own["counts"] = tuple(sorted(own["counts"].items()))
            return cls(**own)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("not the stored state of a case") from error


def fold(state: CaseState | None, entry: Entry) -> CaseState:
    """The state after one more entry of the case's stream; `state` is None before the first.

    `entry` is a decoded entry (`formats.entry.decode`). Raises ValueError when it belongs to
    another stream, which is a fault of the caller and not of the log.
    """
    stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
    if state is None:
        state = CaseState(
            stream, entry["hub"], entry["organisation"], opened_at=entry["occurred_at"]
        )
    elif state.stream != stream:
        raise ValueError("the entry belongs to another stream")
    rule = _RULES.get(entry["type"])
    changes = {} if rule is None else rule(state, entry)
    return replace(
        state,
        version=entry["stream"]["version"],
        last_occurred_at=entry["occurred_at"],
        last_recorded_at=entry["recorded_at"],
        counts=_counted(state.counts, entry["type"]),
        **changes,
    )


def _counted(counts: tuple[tuple[str, int], ...], name: str) -> tuple[tuple[str, int], ...]:
    found = dict(counts)
    found[name] = found.get(name, 0) + 1
    return tuple(sorted(found.items()))


def _text(entry: Entry, name: str) -> str | None:
    """An open field that should be a string, or None: a log may register other kinds."""
    value = entry["data"].get(name)
    return value if isinstance(value, str) else None


def _subject_identified(state: CaseState, entry: Entry) -> Changes:
    changes: Changes = {
        "identified_on": entry["occurred_at"],
        "purpose": _text(entry, "purpose"),
        "review_due": _text(entry, "review_due"),
    }
    if state.closed_on is None and state.erased_at is None:
        # A correction or a second referral of an open case: the first identification stands.
        changes["identified_on"] = state.identified_on or entry["occurred_at"]
        return changes
    # Identified anew after the case was closed or erased: what was told and offered then does not
    # answer for the new reasons.
    return changes | {
        "screening": None,
        "notified_on": None,
        "told": (),
        "support": None,
        "support_offered_on": None,
        "closed_on": None,
        "erase_due": None,
        "erasure_ordered_on": None,
        "erased_at": None,
    }


def _screening_decided(state: CaseState, entry: Entry) -> Changes:
    outcome = _text(entry, "outcome")
    if outcome is None:
        return {}
    return {"screening": "accepted" if outcome == "accepted" else "not-accepted"}


def _subject_notified(state: CaseState, entry: Entry) -> Changes:
    told = tuple(
        item for item in CHECKLIST if item in state.told or entry["data"].get(item) is True
    )
    return {"told": told, "notified_on": state.notified_on or entry["occurred_at"]}


def _support_offered(state: CaseState, entry: Entry) -> Changes:
    return {
        "support": "support-offered",
        "support_offered_on": state.support_offered_on or entry["occurred_at"],
    }


def _support_accepted(state: CaseState, entry: Entry) -> Changes:
    return {"support": "in-support"}


def _support_declined(state: CaseState, entry: Entry) -> Changes:
    return {"support": "support-declined"}


def _case_reviewed(state: CaseState, entry: Entry) -> Changes:
    return {"review_due": _text(entry, "review_due")}


def _case_closed(state: CaseState, entry: Entry) -> Changes:
    erase_due = _text(entry, "erase_due")
    # Without a day to erase by, the review that was due stays due: something always is (s.39).
    return {
        "closed_on": entry["occurred_at"],
        "erase_due": erase_due,
        "review_due": state.review_due if erase_due is None else None,
    }


def _erasure_ordered(state: CaseState, entry: Entry) -> Changes:
    return {"erasure_ordered_on": entry["occurred_at"]}


def _erasure_executed(state: CaseState, entry: Entry) -> Changes:
    through = entry["data"].get("through")
    return {
        "erased_at": entry["occurred_at"],
        "erased_through": through if type(through) is int else state.erased_through,
        "review_due": None,
        "erase_due": None,
    }


def _data_disclosed(state: CaseState, entry: Entry) -> Changes:
    share_id = _text(entry, "disclosure_id")
    if share_id is None:
        return {}
    share = Disclosed(
        id=share_id,
        recipient_category=_text(entry, "recipient_category"),
        purpose=_text(entry, "purpose"),
        gateway=_text(entry, "gateway"),
        agreement_ref=_text(entry, "agreement_ref"),
        disclosed_at=entry["occurred_at"],
        recipient_retention_until=_text(entry, "recipient_retention_until"),
    )
    for index, earlier in enumerate(state.disclosures):
        if earlier.id == share_id and earlier.disclosed_at is None:
            matched = replace(share, acknowledged_on=earlier.acknowledged_on)
            return {"disclosures": _put(state.disclosures, index, matched)}
    return {"disclosures": (*state.disclosures, share)}


def _disclosure_acknowledged(state: CaseState, entry: Entry) -> Changes:
    share_id = _text(entry, "disclosure_id")
    if share_id is None:
        return {}
    same = [index for index, share in enumerate(state.disclosures) if share.id == share_id]
    for index in same:
        share = state.disclosures[index]
        if share.acknowledged_on is None:
            acknowledged = replace(share, acknowledged_on=entry["occurred_at"])
            return {"disclosures": _put(state.disclosures, index, acknowledged)}
    if same:
        return {}
    unknown = Disclosed(
        share_id, _text(entry, "recipient_category"), acknowledged_on=entry["occurred_at"]
    )
    return {"disclosures": (*state.disclosures, unknown)}


def _put(shares: tuple[Disclosed, ...], index: int, share: Disclosed) -> tuple[Disclosed, ...]:
    return (*shares[:index], share, *shares[index + 1 :])


_RULES: Final[Mapping[str, Callable[[CaseState, Entry], Changes]]] = {
    "subject.identified": _subject_identified,
    "screening.decided": _screening_decided,
    "subject.notified": _subject_notified,
    "support.offered": _support_offered,
    "support.accepted": _support_accepted,
    "support.declined": _support_declined,
    "data.disclosed": _data_disclosed,
    "disclosure.acknowledged": _disclosure_acknowledged,
    "case.reviewed": _case_reviewed,
    "case.closed": _case_closed,
    "erasure.ordered": _erasure_ordered,
    "erasure.executed": _erasure_executed,
}
