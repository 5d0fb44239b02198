"""Who received data of a case, and what was asked of them and answered.

Guarantees: as the fold of which these are rules (`meaning.case`): pure, total, and of open parts
alone. Whatever is said of a share is for one of the same disclosure id *and* the same category of
recipient. That a recipient was told to erase, or has, counts for a share that was recorded before;
where there is none it changes no share and adds none, and is counted. An acknowledgement alone may
come first: it then stands by itself until the share is recorded, so that a share which never was
can be seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ledger_verifier.meaning.accuracy import shared_as_undisputed
from ledger_verifier.meaning.case_state import Act, CaseState, Disclosed

Changes = dict[str, Any]
Rule = Callable[[CaseState, Act], Changes]

DISCLOSED: Final = "data.disclosed"
CONFIRMED: Final = "recipient_erasure.confirmed"


def disclosed(state: CaseState, act: Act) -> Changes:
    share_id, category = _named(act)
    if share_id is None:
        return {}
    told: Changes = {
        "purpose": act.text("purpose"),
        "gateway": act.text("gateway"),
        "agreement_ref": act.text("agreement_ref"),
        "disclosed_at": act.occurred_at,
        "recipient_retention_until": act.text("recipient_retention_until"),
        "corrected": act.corrected,
    }
    for index, earlier in _same(state, act):
        if earlier.disclosed_at is None:
            shares = _put(state.disclosures, index, replace(earlier, **told))
            break
    else:
        shares = (*state.disclosures, Disclosed(share_id, category, **told))
    return {"disclosures": shares, "shared_as_undisputed": shared_as_undisputed(state, act)}


def acknowledged(state: CaseState, act: Act) -> Changes:
    share_id, category = _named(act)
    same = _same(state, act)
    if share_id is None or same:
        return _noted(state, same, acknowledged_on=act.occurred_at)
    alone = Disclosed(share_id, category, acknowledged_on=act.occurred_at)
    return {"disclosures": (*state.disclosures, alone)}


def erasure_requested(state: CaseState, act: Act) -> Changes:
    recorded = _recorded(state, act)
    if not recorded:
        return {"requests_of_no_share": state.requests_of_no_share + 1}
    return _noted(state, recorded, erasure_requested_on=act.occurred_at)


def erasure_confirmed(state: CaseState, act: Act) -> Changes:
    recorded = _recorded(state, act)
    if not recorded:
        return {"confirmations_of_no_share": state.confirmations_of_no_share + 1}
    return _noted(
        state,
        recorded,
        erasure_confirmed_on=act.occurred_at,
        copies_found_band=act.text("copies_found_band"),
    )


_Places = list[tuple[int, Disclosed]]


def _named(act: Act) -> tuple[str | None, str | None]:
    return act.text("disclosure_id"), act.text("recipient_category")


def _same(state: CaseState, act: Act) -> _Places:
    """The shares that an act is about, and their places."""
    return [
        (index, share)
        for index, share in enumerate(state.disclosures)
        if (share.id, share.recipient_category) == _named(act)
    ]


def _recorded(state: CaseState, act: Act) -> _Places:
    return [(i, share) for i, share in _same(state, act) if share.disclosed_at is not None]


def _noted(state: CaseState, shares: _Places, **noted: Any) -> Changes:
    """Note something of the first of these shares of which it was not noted yet; what is said of a
    share again changes nothing."""
    name = next(iter(noted))
    for index, share in shares:
        if getattr(share, name) is None:
            return {"disclosures": _put(state.disclosures, index, replace(share, **noted))}
    return {}


def _put(shares: tuple[Disclosed, ...], index: int, share: Disclosed) -> tuple[Disclosed, ...]:
    return (*shares[:index], share, *shares[index + 1 :])


_SHARE: Final = ("disclosure_id", "recipient_category")

#: Rules of the fold, and the open fields that each is heard for.
RULES: Final[Mapping[str, tuple[Rule, tuple[str, ...]]]] = {
    DISCLOSED: (
        disclosed,
        (
            *_SHARE,
            "purpose",
            "gateway",
            "agreement_ref",
            "recipient_retention_until",
            "quality_statement",
        ),
    ),
    "disclosure.acknowledged": (acknowledged, _SHARE),
    "recipient_erasure.requested": (erasure_requested, _SHARE),
    CONFIRMED: (erasure_confirmed, (*_SHARE, "copies_found_band")),
}
