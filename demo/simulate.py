"""A simulated year of the Lewisham Concern Hub and of Project Alpha, as CloudEvents.

Guarantees: the same arguments give the same events, byte for byte, on any machine; events
come in order of time; every one is a whole structured CloudEvent of a type in the
catalogue; and nobody in them exists (`demo.people`). The figures behind the draws, and
what each stands for, are in `demo.figures`.
"""

from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

from demo import figures
from demo.acts import Act, at_work, in_order, instant, make_uuid
from demo.alpha import content_life
from demo.cases import case_life
from demo.world import World, governance, make_world


def events(
    seed: int, cases: int = figures.CASES, referrals: int = figures.REFERRALS
) -> Iterator[dict[str, Any]]:
    """The events of one year, for so many people identified and pieces of content referred.

    Memory grows with what is under way at one time, so that large years can be streamed.
    """
    rng = Random(seed)
    world = make_world(rng)
    for act in in_order(_lives(rng, world, cases, referrals)):
        yield cloud_event(rng, act)


def cloud_event(rng: Random, act: Act) -> dict[str, Any]:
    """An act as a structured CloudEvent, with its own id or one from `rng`."""
    return {
        "specversion": "1.0",
        "id": act.id or make_uuid(rng, act.at),
        "source": act.source,
        "type": act.type,
        "subject": act.subject,
        "time": instant(act.at),
        "datacontenttype": "application/json",
        "hub": act.hub,
        "organisation": act.organisation,
        "actor": act.actor,
        "regime": act.regime,
        "data": act.data,
    }


def _lives(rng: Random, world: World, cases: int, referrals: int) -> Iterator[list[Act]]:
    """Governance first, then every case and piece of content in order of its beginning."""
    yield governance(rng, world)
    beginnings = [(_some_day(rng), case_life) for _ in range(cases)]
    beginnings += [(_some_day(rng), content_life) for _ in range(referrals)]
    beginnings.sort(key=lambda beginning: beginning[0])
    for began, life in beginnings:
        yield life(rng, world, began)


def _some_day(rng: Random) -> datetime:
    year = figures.YEAR_END - figures.YEAR_START
    return at_work(rng, figures.YEAR_START + year * rng.random())
