"""Whether what the ledger itself does with people's data is covered by what the law asks for first.

A ledger of what is done with people is processing of its own, at high risk to them. Before it holds
anybody's data there must be an assessment of that risk, an arrangement between its controllers, a
policy document and an assessment of equality, each with the scope `ledger`.

Guarantees: `Assurance` reads open parts alone, and what it finds on a day follows from the entries
of the registers, in the order of the log, and from that day: whoever computes it has the same. An
entry that `event.corrected` names does not count, unless that correction is itself corrected. What
a document says is not judged: that it is in force is what was recorded of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LEDGER: Final = "ledger"
#: Kinds of stream that the documents are recorded in.
REGISTERS: Final = frozenset({"agreement", "assessment"})

#: What must be in force, and the law that asks for it.
NEEDED: Final[Mapping[str, str]] = {
    "data-protection-impact-assessment": "DPA 2018 s.64; UK GDPR Art 35",
    "joint-controller-arrangement": "DPA 2018 s.58; UK GDPR Art 26",
    "appropriate-policy-document": "DPA 2018 s.42 and Sch.1 Part 4",
    "equality-impact-assessment": "Equality Act 2010 s.149",
}
NOT_COVERED: Final = "ledger-not-covered"
REVIEW_OVERDUE: Final = "ledger-review-overdue"

_KIND_IN: Final = {
    "assessment.approved": "assessment_kind",
    "agreement.registered": "agreement_kind",
}
_CORRECTED: Final = "event.corrected"
#: Types of entry that have a say in this.
TYPES: Final = (*_KIND_IN, _CORRECTED)
#: A document recorded here is for every hub, whether or not it says so.
_CENTRAL: Final = "central"

#: A finding: JSON values by name, `rule` and `severity` among them, and what it `says` in words.
Finding = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Document:
    kind: str
    effective_from: str
    review_due: str | None


@dataclass(frozen=True, slots=True)
class _Act:
    """A document that was recorded, or that an earlier act of its stream was a mistake."""

    id: str
    document: _Document | None = None
    corrects: str | None = None


class Assurance:
    """The documents about the ledger's own processing that a log records."""

    def __init__(self) -> None:
        self._streams: dict[str, list[_Act]] = {}

    def learn(self, entry: Mapping[str, Any]) -> bool:
        """Take in a decoded entry that has the shape its type is registered with; whether it says
        anything of this. Entries are given in the order of the log."""
        if entry["stream"]["kind"] not in REGISTERS:
            return False
        stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
        data = entry["data"]
        if entry["type"] == _CORRECTED and stream in self._streams:
            act = _Act(entry["id"], corrects=_text(data.get("corrected_event")))
        else:
            document = _document(entry)
            if document is None:
                return False
            act = _Act(entry["id"], document)
        self._streams.setdefault(stream, []).append(act)
        return True

    def findings(self, day: str) -> tuple[Finding, ...]:
        """What is open to question on a day, YYYY-MM-DD: a standing finding while any of the
        documents is not in force, and one while the review of any is past due."""
        current = [document for acts in self._streams.values() for document in _current(acts, day)]
        missing = [kind for kind in NEEDED if all(one.kind != kind for one in current)]
        overdue = [
            kind
            for kind in NEEDED
            if kind not in missing
            and all(one.review_due and one.review_due < day for one in current if one.kind == kind)
        ]
        found: list[Finding] = []
        if missing:
            found.append(
                _finding(
                    NOT_COVERED,
                    "critical",
                    day,
                    missing,
                    "The ledger's own processing is not covered: with the scope `ledger` there is "
                    f"not in force on {day}: {_words(missing)}.",
                )
            )
        if overdue:
            found.append(
                _finding(
                    REVIEW_OVERDUE,
                    "medium",
                    day,
                    overdue,
                    f"The review of what covers the ledger's own processing was due before {day}: "
                    f"{_words(overdue)}.",
                )
            )
        return tuple(found)


def _document(entry: Mapping[str, Any]) -> _Document | None:
    """What an entry records of the ledger's own processing, if it does."""
    data = entry["data"]
    kind = _text(data.get(_KIND_IN.get(entry["type"], "")))
    scope, begins = data.get("scope"), _text(data.get("effective_from"))
    if kind is None or begins is None or kind not in NEEDED:
        return None
    if type(scope) is not list or LEDGER not in scope:
        return None
    # What covers one hub alone does not cover a ledger that others are in.
    if data.get("every_hub") is False and entry["hub"] != _CENTRAL:
        return None
    return _Document(kind, begins, _text(data.get("review_due")))


def _current(acts: list[_Act], day: str) -> list[_Document]:
    """Of the documents of one stream, for each kind the newest that is in force on a day."""
    mistaken: set[str] = set()
    found: dict[str, _Document] = {}
    # A correction speaks of earlier entries alone: one that comes later is settled first.
    for act in reversed(acts):
        if act.id in mistaken:
            continue
        if act.corrects is not None:
            mistaken.add(act.corrects)
        if act.document is not None and act.document.effective_from <= day:
            found.setdefault(act.document.kind, act.document)
    return list(found.values())


def _finding(rule: str, severity: str, day: str, documents: list[str], says: str) -> Finding:
    return {
        "rule": rule,
        "severity": severity,
        "as_of": day,
        "documents": documents,
        "law": [NEEDED[kind] for kind in documents],
        "says": says,
    }


def _words(kinds: list[str]) -> str:
    return ", ".join(kind.replace("-", " ") for kind in kinds)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
