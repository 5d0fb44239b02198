"""The life of one simulated case, from identification to closing or erasure.

What is drawn: whether the hub accepts; whether and when the person is told why; which
support is offered, what is answered and what comes of it; who receives data, says so and
erases it; what is altered or entered by mistake; who looks at the record. Everything is
drawn from the generator given, so a seed fixes a whole year.
"""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from demo import figures, people
from demo.acts import Act, at_work, make_reference, make_uuid, pick
from demo.sharing import recalling, sharing, viewing
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
    acts = [
        _identified(rng, world, desk, case, actor, began),
        _screened(rng, desk, case, actor, began, accepted),
    ]
    if accepted:
        acts += _told(rng, desk, case, actor, began)
        acts += _supported(rng, world, case, began)
    else:
        acts += _turned_away(rng, desk, case, actor, began)
    closed = [act.at for act in acts if act.type == "case.closed"]
    until = min([*closed, figures.YEAR_END])
    if accepted:
        shared = sharing(rng, world, desk, case, began, until)
        acts += shared
        if closed:
            left = [act for act in shared if act.type == "data.disclosed"]
            acts += recalling(rng, world, desk, case, left, closed[0])
        if rng.random() < figures.SHARE_ALTERED:
            acts.append(_altered(rng, desk, case, began, until))
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


def _screened(
    rng: Random, desk: Desk, case: str, actor: str, began: datetime, accepted: bool
) -> Act:
    """Decided within four days if accepted, the next day if not: before anything else is."""
    at = at_work(rng, began + timedelta(days=rng.randint(1, 4) if accepted else 1))
    turned_away = rng.choice(("rejected", "rejected", "rejected", "referred-on"))
    data = {
        "outcome": "accepted" if accepted else turned_away,
        "criteria_version": _CRITERIA_VERSION,
        "decision_role": "panel",
        "automation_level": "none",
        "human_involvement": "decided-by-a-person",
        "reasons": "Invented: agreed by everyone at the panel.",
        "risk_assessment": "Invented: nothing that cannot wait for the next review.",
        "panel_id": make_reference(rng),
    }
    return desk.act(at, "screening.decided", f"case/{case}", data, actor)


def _altered(rng: Random, desk: Desk, case: str, began: datetime, until: datetime) -> Act:
    day = began + (until - began) * rng.random()
    data = {
        "altered_fields": ["address"],
        "reason": "out-of-date",
        "before": "Invented: an address in the Borough of Nowhere.",
        "after": "Invented: another address in the Borough of Nowhere.",
    }
    at = max(at_work(rng, day), began + timedelta(hours=1))
    return desk.act(at, "record.altered", f"case/{case}", data, rng.choice(desk.staff))


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
    acts = [desk.act(offered, "support.offered", f"case/{case}", offer, actor)]
    if answer != "no-response":
        acts += _answered(rng, desk, case, actor, offered, answer, offer["pathway"])
    acts += _reviewed(rng, desk, case, actor, began, closed)
    return [*acts, desk.act(closed, "case.closed", f"case/{case}", end, actor)]


def _answered(
    rng: Random, desk: Desk, case: str, actor: str, offered: datetime, answer: str, pathway: str
) -> list[Act]:
    """The answer to an offer; now and then entered twice, and then corrected the same day."""
    at = at_work(rng, offered + timedelta(days=rng.randint(1, 10)))
    by = rng.choice(("subject", "subject-and-parent"))
    data: dict[str, Any] = {"pathway": pathway, "answered_by": by}
    if answer == "accepted":
        data |= {"provider": PROVIDER, "plan": "Invented: as offered, on Mondays after school."}
    else:
        data |= {"reason": rng.choice(("not-wanted", "supported-elsewhere", "not-stated"))}
    entered = desk.act(at, f"support.{answer}", f"case/{case}", data, actor)
    if rng.random() >= figures.SHARE_ENTERED_TWICE:
        return [entered]
    again = replace(
        entered,
        at=at + timedelta(minutes=2),
        id=make_uuid(rng, at + timedelta(minutes=2)),
    )
    mistake = {
        "corrected_event": again.id,
        "correction_class": "duplicate",
        "reason": "Invented: the answer was entered twice.",
    }
    corrected = at + timedelta(minutes=rng.randint(10, 90))
    return [
        entered,
        again,
        desk.act(corrected, "event.corrected", f"case/{case}", mistake, actor),
    ]


def _reviewed(
    rng: Random, desk: Desk, case: str, actor: str, began: datetime, closed: datetime
) -> list[Act]:
    """Reviews of an open case, each a few days before it is due."""
    acts: list[Act] = []
    due = began + timedelta(days=figures.REVIEW_DAYS)
    while (at := at_work(rng, due - timedelta(days=rng.randint(0, 6)))) < closed:
        due = at + timedelta(days=figures.REVIEW_DAYS)
        data = {
            "review_due": _day(at, figures.REVIEW_DAYS),
            "review_kind": "scheduled" if acts else "first",
            "outcome": "continue",
            "risk_band": rng.choice(("low", "low", "medium")),
            "subject_category": ["at-risk"],
            "reasons": "Invented: support goes on, and seems to help.",
        }
        acts.append(desk.act(at, "case.reviewed", f"case/{case}", data, actor))
    return acts


def _turned_away(rng: Random, desk: Desk, case: str, actor: str, began: datetime) -> list[Act]:
    """Not accepted: closed within a fortnight, and erased within the days allowed: ordered by one
    member of staff, carried out by another."""
    closed = at_work(rng, began + timedelta(days=rng.randint(2, 13)))
    last = figures.REJECTED_ERASED_WITHIN_DAYS - 1
    erased = at_work(rng, began + timedelta(days=rng.randint(14, last)))
    end: dict[str, Any] = {
        "review_period_months": 1,
        "erase_due": _day(began, figures.REJECTED_ERASED_WITHIN_DAYS),
        "reason": "not-accepted",
    }
    executor, second = rng.sample([staff for staff in desk.staff if staff != actor], 2)
    order = erasure_order("not-accepted", end["erase_due"])
    gone = erasure(executor, second)
    ordered = closed + timedelta(hours=1)
    return [
        desk.act(closed, "case.closed", f"case/{case}", end, actor),
        desk.act(ordered, "erasure.ordered", f"case/{case}", order, actor),
        desk.act(erased, "erasure.executed", f"case/{case}", gone, executor),
    ]


def erasure_order(ground: str, due: str) -> dict[str, Any]:
    """The data of an order to erase a whole stream by a day."""
    return {"trigger": "scheduled", "erase_due": due, "ground": ground, "scope": "stream"}


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
