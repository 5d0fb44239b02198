"""The life of one simulated case, from identification to closing or erasure.

What is drawn: whether the hub accepts; whether and when the person is told why; which
support is offered and what comes of it; who receives data and says so; who looks at the
record. Everything is drawn from the generator given, so a seed fixes a whole year.
"""

import math
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from demo import figures, people
from demo.acts import Act, at_work, make_reference, pick
from demo.sharing import sharing, viewing
from demo.world import PROVIDER, Desk, World

POLICE_SOURCES: Final = ("police-intelligence", "social-media")
COUNCIL_SOURCES: Final = (
    "school", "emergency-department", "family", "youth-justice", "childrens-services", "health",
    "voluntary-sector", "self",
)  # fmt: skip

PATHWAYS: Final = (
    "mentoring", "youth-work", "education", "training-or-employment", "mental-health",
    "speech-and-language", "family-support", "exit-from-exploitation",
)  # fmt: skip

GROUNDS: Final = {
    "a": ("s44-4-a-inquiry", "sch2-para5-legal"),
    "b": ("s44-4-b-crime", "sch2-para2-crime"),
    "c": ("s44-4-c-public-security", "art14-5-c-laid-down-by-law"),
    "d": ("s44-4-d-national-security", "art14-5-d-secrecy"),
    "e": ("s44-4-e-rights-of-others", "sch3-serious-harm"),
}
"""Each ground of section 44(4), and the nearest one of the UK GDPR."""

CHECKLIST: Final = (
    "reasons", "legal_basis", "retention", "recipients", "rights", "complaint_to_controller",
    "complaint_to_commissioner",
)  # fmt: skip

_CRITERIA_VERSION: Final = 3
_REVIEW_MONTHS: Final = 3


def case_life(rng: Random, world: World, began: datetime) -> list[Act]:
    """Every act about one person, in order of time; what would follow the year is left out."""
    desk = world.police if rng.random() < figures.SHARE_FROM_POLICE else world.council
    case = make_reference(rng)
    actor = rng.choice(desk.staff)
    accepted = rng.random() < figures.SHARE_ACCEPTED
    acts = [_identified(rng, world, desk, case, actor, began)]
    if accepted:
        acts += _told(rng, desk, case, actor, began)
        acts += _supported(rng, world, case, began)
    else:
        acts += _turned_away(rng, desk, case, actor, began)
    closed = [act.at for act in acts if act.type == "case.closed"]
    until = min([*closed, figures.YEAR_END])
    if accepted:
        acts += sharing(rng, world, desk, case, began, until)
    acts += viewing(rng, desk, case, began, until)
    acts.sort(key=lambda act: act.at)
    return [act for act in acts if act.at < figures.YEAR_END]


def _identified(rng: Random, world: World, desk: Desk, case: str, actor: str, at: datetime) -> Act:
    age_band = pick(rng, figures.AGE_BANDS)
    person = people.make_person(rng, age_band, at.year)
    police = desk is world.police
    sources = POLICE_SOURCES if police else COUNCIL_SOURCES
    data: dict[str, Any] = {
        "purpose": "safeguarding",
        "criteria_version": _CRITERIA_VERSION,
        "legal_basis": "law-enforcement-task" if police else "public-task",
        "review_period_months": _REVIEW_MONTHS,
        "review_due": _day(at, 91),
        "automation_level": "none",
        "dpia_ref": world.lewisham_dpia,
        "authority_ref": None,
        "source_type": rng.choice(sources),
        "subject_category": ["at-risk"],
        "content_nature": rng.choice(("assessment", "mixed")),
        "age_band": age_band,
        "sensitive_processing": False,
        "risk_band": rng.choice(("low", "low", "medium", "high")),
        "identity_token": f"SYNTHETIC-{rng.randrange(10**6):06d}",
        "name": person.name,
        "date_of_birth": person.born,
        "sex": "not-stated",
        "ethnicity": "ns",
        "address": person.address,
        "reasons": rng.choice(people.REASONS),
    }
    if police:
        data["intelligence_grade"] = rng.choice(("1ap", "2bp", "2bc"))
    return desk.act(at, "subject.identified", f"case/{case}", data, actor)


def _told(rng: Random, desk: Desk, case: str, actor: str, began: datetime) -> list[Act]:
    """Told why, or not told on a ground, or neither: the defect that somebody should find."""
    drawn = rng.random()
    if drawn < figures.SHARE_INFORMED:
        median = math.log(figures.INFORMED_MEDIAN_DAYS)
        days = rng.lognormvariate(median, figures.INFORMED_TAIL_SIGMA)
        return [_notified(rng, desk, case, actor, began, days)]
    if drawn < figures.SHARE_INFORMED + figures.SHARE_WITHHELD:
        return [_withheld(rng, desk, case, actor, began)]
    return []


def _notified(rng: Random, desk: Desk, case: str, actor: str, began: datetime, days: float) -> Act:
    at = at_work(rng, began + timedelta(days=days))
    at = max(at, began + timedelta(hours=1))
    data = {
        **{f"told_{part}": True for part in CHECKLIST},
        "delay_days": (at.date() - began.date()).days,
        "notified_party": rng.choice(("subject", "subject-and-parent")),
        "channel": rng.choice(("in-person", "home-visit", "letter")),
        "language": "en",
        "format": "plain-english",
        "text_given": rng.choice(people.EXPLANATIONS),
        "delivery_proof": "Invented: handed over and signed for.",
    }
    return desk.act(at, "subject.notified", f"case/{case}", data, actor)


def _withheld(rng: Random, desk: Desk, case: str, actor: str, began: datetime) -> Act:
    """In a restricted stream with an id of its own: only a sealed field leads to the case."""
    at = at_work(rng, began + timedelta(days=rng.randint(*figures.DAYS_TO_WITHHOLD)))
    part3, gdpr = GROUNDS[pick(rng, figures.WITHHOLDING_GROUNDS)]
    data = {
        "review_due": _day(at, figures.WITHHOLDING_REVIEW_DAYS),
        "ground": part3 if desk.regime == "dpa_part3" else gdpr,
        "scope": rng.choice(("full", "part")),
        "subject_told_of_restriction": "not-told-would-defeat-it",
        "linked_case": case,
        "reasons": rng.choice(people.WITHHOLDING_REASONS),
        "approver": rng.choice([staff for staff in desk.staff if staff != actor]),
        "approver_role": "Data protection officer",
    }
    restricted = f"restricted/{make_reference(rng)}"
    return desk.act(at, "notification.withheld", restricted, data, actor)


def _supported(rng: Random, world: World, case: str, began: datetime) -> list[Act]:
    """Support is offered by the council whoever identified the person, and at last ends."""
    desk, actor = world.council, rng.choice(world.council.staff)
    offered = at_work(rng, began + timedelta(days=rng.randint(*figures.DAYS_TO_OFFER)))
    answer = pick(rng, figures.SUPPORT_OUTCOMES)
    closed = at_work(rng, offered + timedelta(days=rng.randint(*figures.DAYS_TO_CLOSE[answer])))
    reason = {
        "accepted": rng.choice(("support-completed", "risk-reduced")),
        "declined": "declined",
        "no-response": "no-response",
    }[answer]
    offer = {
        "pathway": rng.choice(PATHWAYS),
        "provider": PROVIDER,
        "plan": "Invented: one meeting a week until the end of term.",
    }
    end = {
        "review_period_months": figures.RETENTION_MONTHS,
        "erase_due": _day(closed, 365),
        "reason": reason,
    }
    return [
        desk.act(offered, "support.offered", f"case/{case}", offer, actor),
        desk.act(closed, "case.closed", f"case/{case}", end, actor),
    ]


def _turned_away(rng: Random, desk: Desk, case: str, actor: str, began: datetime) -> list[Act]:
    """Not accepted: closed within a fortnight, erased within the days allowed."""
    closed = at_work(rng, began + timedelta(days=rng.randint(2, 13)))
    last = figures.REJECTED_ERASED_WITHIN_DAYS - 1
    erased = at_work(rng, began + timedelta(days=rng.randint(14, last)))
    end = {
        "review_period_months": 1,
        "erase_due": _day(began, figures.REJECTED_ERASED_WITHIN_DAYS),
        "reason": "not-accepted",
    }
    second = rng.choice([staff for staff in desk.staff if staff != actor])
    return [
        desk.act(closed, "case.closed", f"case/{case}", end, actor),
        desk.act(erased, "erasure.executed", f"case/{case}", erasure(actor, second), actor),
    ]


def erasure(actor: str, second: str) -> dict[str, Any]:
    """The data of an erasure carried out by one member of staff in the presence of another."""
    return {
        "trigger": "scheduled",
        "method": "key-and-ciphertext-destroyed",
        "scope": "stream",
        "executor": actor,
        "second_person": second,
    }


def _day(at: datetime, days: int) -> str:
    return (at + timedelta(days=days)).date().isoformat()
