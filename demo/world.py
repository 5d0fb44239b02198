"""Who takes part in the simulated year, and what was in force first: invented staff, systems,
assessments and agreements, and the one published grant."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Final

from demo import figures
from demo.acts import Act, at_work, make_reference

COUNCIL: Final = "lewisham-council"
POLICE: Final = "met-police"
PROVIDER: Final = "fictional-youth-trust"
"""The one provider of support, which does not exist."""

_STAFF_A_DESK: Final = 6


@dataclass(frozen=True, slots=True)
class Desk:
    """A team as its system names it: hub, source, organisation, regime and staff references."""

    hub: str
    source: str
    organisation: str
    regime: str
    staff: tuple[str, ...]

    def act(
        self,
        at: datetime,
        type_name: str,
        subject: str,
        data: dict[str, Any],
        actor: str,
    ) -> Act:
        """An act of this team."""
        return Act(
            at,
            type_name,
            subject,
            self.hub,
            self.source,
            self.organisation,
            actor,
            self.regime,
            data,
        )


@dataclass(frozen=True, slots=True)
class World:
    """The teams, and the references that their acts rest on."""

    council: Desk
    police: Desk
    alpha: Desk
    lewisham_dpia: str
    alpha_dpia: str
    grant: str
    sharing_agreement: str

    def recipient(self, organisation: str, rng: Random) -> Desk:
        """The system of an organisation that received data, and who used it there."""
        return Desk(
            figures.LEWISHAM,
            f"{organisation}-records",
            organisation,
            "uk_gdpr",
            (make_reference(rng),),
        )


def make_world(rng: Random) -> World:
    """Invent the teams and references; the same for the same state of `rng`."""
    return World(
        council=_desk(rng, figures.LEWISHAM, "lewisham-cases", COUNCIL, "uk_gdpr"),
        police=_desk(rng, figures.LEWISHAM, "concern-hub", POLICE, "dpa_part3"),
        alpha=_desk(rng, figures.CENTRAL, "alpha-referrals", POLICE, "dpa_part3"),
        lewisham_dpia=make_reference(rng),
        alpha_dpia=make_reference(rng),
        grant=make_reference(rng),
        sharing_agreement=make_reference(rng),
    )


def _desk(rng: Random, hub: str, source: str, organisation: str, regime: str) -> Desk:
    staff = tuple(make_reference(rng) for _ in range(_STAFF_A_DESK))
    return Desk(hub, source, organisation, regime, staff)


def governance(rng: Random, world: World) -> list[Act]:
    """What was put in place first: the grant, the assessments, the agreements, the two hubs."""
    day = figures.YEAR_START - timedelta(days=14)
    acts = [_grant(world, at_work(rng, day - timedelta(days=14)))]
    acts += _assessments(rng, world, day - timedelta(days=7))
    agreements = (
        (
            f"agreement/{world.sharing_agreement}",
            _agreement(
                "information-sharing-agreement",
                ["police", "council", "school", "health", "voluntary-sector"],
                [POLICE, COUNCIL, PROVIDER],
                "ISA 2020/01 (fictional)",
            ),
        ),
        (
            f"agreement/{make_reference(rng)}",
            _agreement(
                "joint-controller-arrangement",
                ["police", "council"],
                [POLICE, COUNCIL],
                "JCA 2020/01 (fictional)",
            ),
        ),
    )
    acts += [
        world.council.act(
            at_work(rng, day + timedelta(days=number)),
            "agreement.registered",
            subject,
            data,
            world.council.staff[0],
        )
        for number, (subject, data) in enumerate(agreements)
    ]
    acts += _own_processing(world, day)
    hubs: tuple[tuple[Desk, str, str, list[str], list[str]], ...] = (
        (world.police, "concern-hub", world.lewisham_dpia, [POLICE, COUNCIL], [PROVIDER]),
        (world.alpha, "social-media-hub", world.alpha_dpia, [POLICE], []),
    )
    for desk, programme, dpia, controllers, partners in hubs:
        data = _activation(programme, dpia, controllers, partners)
        subject = f"hub/{make_reference(rng)}"
        acts.append(desk.act(figures.YEAR_START, "hub.activated", subject, data, desk.staff[0]))
    return acts


def _grant(world: World, at: datetime) -> Act:
    data = {
        "authority_kind": "decision-and-grant",
        "programme": "social-media-hub",
        "decision_series": "pcd",
        "decision_number": 867,
        "power": "domestic-violence-crime-and-victims-act-2004-s56",
        "funder_category": "government-department",
        "amount_pence": figures.GRANT_PENCE,
        "effective_from": figures.YEAR_START.date().isoformat(),
        "effective_until": (figures.YEAR_END - timedelta(days=1)).date().isoformat(),
        "published": True,
        "funder": "home-office",
        "decided_by": "mopac",
        "document_reference": "PCD 867",
    }
    desk = world.alpha
    return desk.act(at, "authority.registered", f"agreement/{world.grant}", data, desk.staff[0])


def _assessments(rng: Random, world: World, day: datetime) -> list[Act]:
    """For each hub a data protection and an equality impact assessment, and a policy document."""
    acts = []
    hubs = (
        (
            world.police,
            "concern-hub",
            world.lewisham_dpia,
            ["school", "health", "voluntary-sector"],
        ),
        (world.alpha, "social-media-hub", world.alpha_dpia, ["platform"]),
    )
    for desk, programme, dpia, recipients in hubs:
        kinds = (
            ("data-protection-impact-assessment", dpia),
            ("equality-impact-assessment", make_reference(rng)),
            ("appropriate-policy-document", make_reference(rng)),
        )
        for number, (kind, stream) in enumerate(kinds):
            at = at_work(rng, day + timedelta(days=number))
            requester, approver = rng.sample(desk.staff, 2)
            data = _assessment(kind, programme, recipients, approver)
            subject = f"assessment/{stream}"
            acts.append(desk.act(at, "assessment.approved", subject, data, requester))
    return sorted(acts, key=lambda act: act.at)


def _own_processing(world: World, day: datetime) -> list[Act]:
    """What covers the ledger itself, without which a finding stands."""
    # Of its own, so that what else is invented stays as it is.
    rng = Random("own processing")
    recipients = ["oversight-body"]
    acts = []
    for kind in (
        "data-protection-impact-assessment",
        "equality-impact-assessment",
        "appropriate-policy-document",
    ):
        requester, approver = rng.sample(world.alpha.staff, 2)
        data = _assessment(kind, "ledger", recipients, approver)
        data |= {"every_hub": True, "review_due": None}
        subject = f"assessment/{make_reference(rng)}"
        acts.append(
            world.alpha.act(at_work(rng, day), "assessment.approved", subject, data, requester)
        )
    arrangement = _agreement(
        "joint-controller-arrangement",
        ["police", "council"],
        [POLICE, COUNCIL],
        "JCA 2020/02 for the ledger (fictional)",
    )
    arrangement |= {"scope": ["ledger"], "review_due": None}
    subject = f"agreement/{make_reference(rng)}"
    at, actor = at_work(rng, day), world.alpha.staff[0]
    acts.append(world.alpha.act(at, "agreement.registered", subject, arrangement, actor))
    return acts


def _assessment(kind: str, programme: str, recipients: list[str], approver: str) -> dict[str, Any]:
    return {
        "assessment_kind": kind,
        "document_version": 1,
        "scope": [programme],
        "every_hub": False,
        "purposes": ["safeguarding", "support"],
        "data_categories": ["identity", "contact", "education", "risk-assessment", "support-plan"],
        "recipient_categories": recipients,
        "dpo_consulted": True,
        "high_risk_remains": False if kind.startswith("data") else None,
        "negative_impact_found": False if kind.startswith("equality") else None,
        "published": False,
        "effective_from": figures.HUB_LIVE_ON.isoformat(),
        "review_due": date(2021, 3, 31).isoformat(),
        "approver": approver,
        "document_reference": f"{programme} {kind} 1 (fictional)",
    }


def _agreement(
    kind: str, categories: list[str], parties: list[str], reference: str
) -> dict[str, Any]:
    return {
        "agreement_kind": kind,
        "party_categories": categories,
        "purposes": ["support", "safeguarding"],
        "data_categories": ["identity", "contact", "education", "risk-assessment", "support-plan"],
        "special_category_permitted": False,
        "redaction_required": True,
        "dpo_consulted": True,
        "published": False,
        "effective_from": figures.HUB_LIVE_ON.isoformat(),
        "review_due": date(2021, 3, 31).isoformat(),
        "parties": parties,
        "document_reference": reference,
    }


def _activation(
    programme: str, dpia: str, controllers: list[str], partners: list[str]
) -> dict[str, Any]:
    categories = {POLICE: "police", COUNCIL: "council", PROVIDER: "voluntary-sector"}
    return {
        "programme": programme,
        "controller_categories": [categories[code] for code in controllers],
        "partner_categories": [categories[code] for code in partners],
        "effective_from": figures.HUB_LIVE_ON.isoformat(),
        "dpia_ref": dpia,
        "published": True,
        "controllers": controllers,
        "partners": partners,
    }
