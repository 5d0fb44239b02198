"""What leaves a simulated case, who says that it arrived and that it was erased, and who looks at
the record."""

from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from demo import figures, people
from demo.acts import Act, at_work, make_reference, poisson
from demo.world import PROVIDER, Desk, World

RECIPIENTS: Final = {
    "youth-justice": ("fictional-youth-justice", "children-act-2004-s10"),
    "childrens-services": ("fictional-childrens-services", "children-act-2004-s10"),
    "school": ("fictional-academy", "children-act-2004-s10"),
    "voluntary-sector": (PROVIDER, "children-act-2004-s10"),
    "housing": ("fictional-housing-trust", "crime-and-disorder-act-1998-s115"),
    "health": ("fictional-clinic", "children-act-2004-s11"),
}
"""Who receives data, by category: the organisation, which does not exist, and the gateway."""

PURPOSES: Final = ("support", "safeguarding", "review", "screening", "disclosure-decision")

_ROUTINE_SHARE: Final = 0.9
"""Disclosures sent the usual way; the others were urgent and went by telephone."""


def sharing(
    rng: Random, world: World, desk: Desk, case: str, began: datetime, until: datetime
) -> list[Act]:
    """Disclosures of one case between two moments, each with its acknowledgement if one came."""
    acts: list[Act] = []
    for _ in range(poisson(rng, figures.DISCLOSURES_A_CASE)):
        at = _between(rng, began, until)
        category = rng.choice(list(RECIPIENTS))
        disclosed = _disclosed(rng, world, desk, case, category, at)
        acts.append(disclosed)
        if rng.random() < figures.SHARE_ACKNOWLEDGED:
            acts.append(_acknowledged(rng, world, case, category, disclosed))
    return acts


def recalling(
    rng: Random, world: World, desk: Desk, case: str, shares: list[Act], closed: datetime
) -> list[Act]:
    """Every recipient is told to erase when the case is closed, and most confirm that they did."""
    acts: list[Act] = []
    for share in shares:
        at = at_work(rng, closed + timedelta(days=rng.randint(1, 5)))
        named = {
            name: share.data[name]
            for name in (
                "disclosure_id",
                "recipient_category",
                "recipient_organisation",
                "recipient_person",
            )
        }
        told = {**named, "recipient_retention_until": (at + timedelta(days=28)).date().isoformat()}
        actor = rng.choice(desk.staff)
        acts.append(desk.act(at, "recipient_erasure.requested", f"case/{case}", told, actor))
        if rng.random() >= figures.SHARE_ERASURE_CONFIRMED:
            continue
        recipient = world.recipient(share.data["recipient_organisation"], rng)
        answer = {
            **named,
            "copies_found_band": rng.choice(("1", "1", "2-19")),
            "method": rng.choice(("deleted", "deleted", "paper-shredded")),
        }
        later = at_work(rng, at + timedelta(days=rng.randint(1, 28)))
        staff = recipient.staff[0]
        acts.append(
            recipient.act(later, "recipient_erasure.confirmed", f"case/{case}", answer, staff)
        )
    return acts


def viewing(rng: Random, desk: Desk, case: str, began: datetime, until: datetime) -> list[Act]:
    """Consultations of one case between two moments, in the access stream of the case."""
    mean = figures.CONSULTATIONS_A_CASE * figures.CONSULTATION_SCALE
    return [
        desk.act(
            _between(rng, began, until),
            "record.consulted",
            f"access/{case}",
            {
                "case_purpose": rng.choice(PURPOSES),
                "result_count_band": "1",
                "access_channel": "source-system",
                "fields_opened": rng.choice(([], ["reasons"], ["name", "reasons"])),
                "query_text": rng.choice(people.QUERIES),
            },
            rng.choice(desk.staff),
        )
        for _ in range(poisson(rng, mean))
    ]


def _disclosed(
    rng: Random, world: World, desk: Desk, case: str, category: str, at: datetime
) -> Act:
    organisation, gateway = RECIPIENTS[category]
    routine = rng.random() < _ROUTINE_SHARE
    data: dict[str, Any] = {
        "disclosure_id": make_reference(rng),
        "recipient_category": category,
        "gateway": gateway,
        "agreement_ref": world.sharing_agreement,
        "purpose": rng.choice(("support", "safeguarding")),
        "special_category_data": False,
        "criminal_offence_data": False,
        "within_agreement_scope": True,
        "subject_count_band": "1",
        "redaction_profile": "minimum-for-purpose",
        "transfer_method": "secure-portal" if routine else "telephone",
        "overseas": False,
        "onward_sharing_allowed": False,
        "authorised_by_law": True if desk.regime == "dpa_part3" else None,
        "recipient_retention_until": (at + timedelta(days=365)).date().isoformat(),
        "quality_statement": rng.choice(("verified", "partly-verified")),
        "necessity": ["necessary"] if routine else ["necessary", "urgent"],
        "data_categories": ["identity", "contact", "support-plan"],
        "subject_category": ["at-risk"],
        "version_digest": rng.randbytes(32).hex(),
        "recipient_organisation": organisation,
        "recipient_person": "Invented Recipient",
        "subject_count": 1,
        "necessity_reasons": rng.choice(people.NECESSITY),
        "content_manifest": "Invented: name, how to reach them, what support is planned.",
    }
    return desk.act(at, "data.disclosed", f"case/{case}", data, rng.choice(desk.staff))


def _acknowledged(rng: Random, world: World, case: str, category: str, disclosed: Act) -> Act:
    """Recorded by the recipient's own system, some time in the next six days."""
    recipient = world.recipient(disclosed.data["recipient_organisation"], rng)
    at = disclosed.at + timedelta(minutes=rng.randint(15, 6 * 24 * 60))
    data = {
        "disclosure_id": disclosed.data["disclosure_id"],
        "recipient_category": category,
        "received_digest": disclosed.data["version_digest"],
        "conditions_accepted": True,
        "recipient_organisation": recipient.organisation,
        "recipient_person": disclosed.data["recipient_person"],
    }
    return recipient.act(at, "disclosure.acknowledged", f"case/{case}", data, recipient.staff[0])


def _between(rng: Random, began: datetime, until: datetime) -> datetime:
    """A moment in working hours after `began`, on a day up to that of `until`."""
    day = began + (until - began) * rng.random()
    return max(at_work(rng, day), began + timedelta(minutes=rng.randint(1, 90)))
