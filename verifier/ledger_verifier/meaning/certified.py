"""What an erasure certificate says: the facts of a case's erasures, in two forms.

Guarantees: `controller_facts` is a pure function of the state, so whoever has the entries finds the
same; `subject_facts` is one of those facts, and holds no id, no stream, no hub, no organisation, no
system and nobody's reference: days, kinds of recipient, counts and yes or no. Its words are always
the same, whether or not anything about the person is withheld.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ledger_verifier.formats.entry import is_day
from ledger_verifier.meaning.case_state import CaseState, Erasure

CONTROLLER: Final = "controller"

_KIND = re.compile(r"[a-z][a-z-]{0,39}")

#: Said to every person, and always in these words.
NOTICE: Final = (
    "Some things may be left out of this. The law allows that in some cases. You can ask the "
    "Information Commissioner to check that it was fair (Data Protection Act 2018, section 51)."
)


def controller_facts(state: CaseState) -> dict[str, Any]:
    """What the open entries of a case show of its erasures."""
    return {
        "stream": state.stream,
        "version": state.version,
        "status": state.status,
        "recorded_since_erasure": state.recorded_since_erasure,
        "erasures": [_erasure(one) for one in state.erasures],
        "recipients": [
            {
                "disclosure_id": share.id,
                "category": share.recipient_category,
                "disclosed_at": share.disclosed_at,
                "requested_on": share.erasure_requested_on,
                "confirmed_on": share.erasure_confirmed_on,
                "copies_found_band": share.copies_found_band,
            }
            for share in state.disclosures
        ],
        "sources": [
            {"code": source.code, "confirmed_on": source.erasure_confirmed_on}
            for source in state.sources
        ],
        "outstanding": list(state.outstanding),
        "findings": list(state.findings),
    }


def _erasure(erasure: Erasure) -> dict[str, Any]:
    return {
        "event": erasure.id,
        "erased_at": erasure.erased_at,
        "stated_at": erasure.stated_at,
        "versions": None if erasure.versions is None else list(erasure.versions),
        "ordered_event": erasure.ordered_event,
        "dual_control": erasure.dual_control,
        "verified_at": erasure.verified_at,
        "checked": list(erasure.checked),
        "horizon_days": erasure.horizon_days,
        "no_backups_from": erasure.first_day_without_backups,
        "gone_from_backups": erasure.gone_from_backups,
    }


def subject_facts(facts: Mapping[str, Any], exports: Mapping[str, Any]) -> dict[str, Any]:
    """What the person is told of these facts, which hold an erasure of the whole; `exports` says
    how many copies with sealed fields were `taken`, and how many of them `destroyed`."""
    erasure = [one for one in facts["erasures"] if one["versions"] is None][-1]
    systems = facts["sources"]
    recipients = [
        {
            "category": share["category"],
            "told": share["requested_on"] is not None,
            "confirmed": share["confirmed_on"] is not None,
        }
        for share in facts["recipients"]
    ]
    return {
        "erased_on": erasure["erased_at"][:10],
        "verified_on": _day(erasure["verified_at"]),
        "no_backups_from": erasure["no_backups_from"],
        "gone_from_backups": erasure["gone_from_backups"],
        "recipients": sorted(recipients, key=lambda share: sorted(map(str, share.values()))),
        "systems": {
            "held": len(systems),
            "confirmed": sum(system["confirmed_on"] is not None for system in systems),
        },
        "copies": {name: exports[name] for name in ("taken", "destroyed")},
        "recorded_since": facts["recorded_since_erasure"] > 0,
        "notice": NOTICE,
    }


def is_for_the_person(facts: Mapping[str, Any], exports: Mapping[str, Any]) -> bool:
    """Whether facts are of the subject's form: days, kinds of recipient, counts and yes or no, in
    the words that every one has, and nothing else that could name somebody."""
    checks: Mapping[str, Callable[[Any], bool]] = {
        "erased_on": is_day,
        "verified_on": is_day,
        "no_backups_from": _is_day_or_none,
        "gone_from_backups": _is_flag,
        "recipients": _are_recipients,
        "systems": _are_systems,
        "copies": lambda value: value == dict(exports),
        "recorded_since": _is_flag,
        "notice": lambda value: value == NOTICE,
    }
    return facts.keys() == checks.keys() and all(ok(facts[name]) for name, ok in checks.items())


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_day_or_none(value: Any) -> bool:
    return value is None or is_day(value)


def _are_recipients(value: Any) -> bool:
    return type(value) is list and all(
        type(share) is dict
        and share.keys() == {"category", "told", "confirmed"}
        and (share["category"] is None or _is_kind(share["category"]))
        and type(share["told"]) is type(share["confirmed"]) is bool
        for share in value
    )


def _is_kind(value: Any) -> bool:
    return type(value) is str and _KIND.fullmatch(value) is not None


def _are_systems(value: Any) -> bool:
    return (
        type(value) is dict
        and value.keys() == {"held", "confirmed"}
        and all(type(count) is int and count >= 0 for count in value.values())
    )


def _day(instant: str | None) -> str | None:
    return None if instant is None else instant[:10]
