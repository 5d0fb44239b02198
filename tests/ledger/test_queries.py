"""Who reads entries of many streams is recorded, once, before an entry is returned."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from ledger.access import Credential, Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.consultation import BULK
from ledger.errors import ActorRequired, NotFound, PurposeRequired, ReasonRequired
from ledger.queries import FEED, MAX_REMEMBERED, WINDOW_SECONDS, Queries
from ledger_verifier.formats.tiles import Tile
from tests.ledger.acts import credential, identified

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANY = credential()
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(shared_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(shared_directory.path) as opened:
        yield opened


async def queries_of(ledger: Ledger, who: Credential) -> list[dict[str, Any]]:
    """The queries that are recorded of a credential."""
    found, _, _ = await ledger.feed(
        credential(Role.INSPECTOR), types=frozenset({"ledger.queried"}), limit=1000
    )
    entries = [orjson.loads(raw) for _, raw in found]
    return [entry for entry in entries if entry["submitted_by"] == who.public_id]


async def size_of(ledger: Ledger) -> int:
    return int((await ledger.status())["tree_size"])


async def test_following_the_feed_is_recorded_once(ledger: Ledger) -> None:
    who = credential(Role.SUBMITTER)
    await ledger.record(ANY, [identified()])
    _, reached, _ = await ledger.feed(who, limit=1000, purpose="s62-4-a")
    await ledger.record(ANY, [identified()])
    await ledger.feed(who, reached, purpose="s62-4-a")
    (query,) = await queries_of(ledger, who)
    first = orjson.loads(await ledger.entry(ANY, 0))
    assert query["stream"]["kind"] == "access"
    assert query["stream"]["id"] == first["stream"]["id"]
    assert query["data"] | {"_sd": None} == {
        "_sd": None,
        "from_position": 0,
        "log_purpose": "s62-4-a",
        "route": "feed",
    }
    assert (query["source"], query["hub"], query["actor"]) == ("hub-ledger", "central", None)


async def test_another_purpose_person_route_or_earlier_position_is_another_query(
    ledger: Ledger,
) -> None:
    who = credential(Role.INSPECTOR)
    await ledger.record(ANY, [identified()])
    size = await size_of(ledger)
    await ledger.feed(who, size - 2)
    for purpose, actor, after in (("s62-4-b", None, size - 2), (None, ACTOR, size - 2)):
        await ledger.feed(who, after, actor=actor, purpose=purpose)
    assert len(await queries_of(ledger, who)) == 3
    await ledger.feed(who, -1, limit=1000)
    await ledger.entry_bundle(who, Tile(None, 0, 2))
    await ledger.entry_bundle(who, Tile(None, 0, 5))
    seen = await queries_of(ledger, who)
    routes = [(q["data"]["route"], q["data"]["from_position"]) for q in seen]
    assert routes[3:] == [("feed", 0), ("entry-bundles", 0)]


async def test_what_is_about_no_person_is_not_recorded(ledger: Ledger) -> None:
    who = credential(Role.REGISTRAR)
    size = await size_of(ledger)
    await ledger.feed(who, limit=1000)
    await ledger.entry(who, 0, None, None)
    assert await size_of(ledger) == size


async def test_many_requests_at_once_are_one_query(ledger: Ledger) -> None:
    who = credential(Role.INSPECTOR)
    await asyncio.gather(*[ledger.entry_bundle(who, Tile(None, 0, 3)) for _ in range(20)])
    assert len(await queries_of(ledger, who)) == 1


async def test_an_unknown_purpose_reads_nothing(ledger: Ledger) -> None:
    who = credential(Role.INSPECTOR)
    await ledger.record(ANY, [identified()])
    for purpose in ("review", "s62-4-e"):
        with pytest.raises(PurposeRequired):
            await ledger.feed(who, purpose=purpose, limit=1000)
        with pytest.raises(PurposeRequired):
            await ledger.entry_bundle(who, Tile(None, 0, 1), purpose=purpose)
    assert await queries_of(ledger, who) == []


async def test_one_entry_is_read_by_a_person_or_a_machine(ledger: Ledger) -> None:
    (recorded,) = await ledger.record(ANY, [identified()])
    person, machine = credential(Role.INSPECTOR), credential(Role.AUDITOR, machine=True)
    with pytest.raises(ActorRequired):
        await ledger.entry(person, recorded.position)
    size = await size_of(ledger)
    raw = await ledger.entry(person, recorded.position, ACTOR)
    consulted = orjson.loads(await ledger.entry(credential(Role.INSPECTOR), size, ACTOR))
    assert consulted["type"] == "record.consulted"
    assert consulted["actor"] == ACTOR
    assert consulted["stream"] == consulted["stream"] | {"kind": "access", "id": recorded.stream.id}
    assert await ledger.entry(machine, recorded.position) == raw
    (query,) = await queries_of(ledger, machine)
    assert query["data"]["from_position"] == recorded.position
    with pytest.raises(NotFound):
        await ledger.entry(person, 10**9, ACTOR)


async def test_a_covered_query_lasts_an_hour_and_no_longer(ledger: Ledger) -> None:
    who, now = credential(Role.INSPECTOR), [0.0]
    first = orjson.loads(await ledger.entry(ANY, 0))["stream"]["id"]
    queries = Queries(ledger._recorder, lambda: first, lambda: now[0])
    size = await size_of(ledger)
    for at in (0.0, 1.0, WINDOW_SECONDS - 1, WINDOW_SECONDS, WINDOW_SECONDS + 1):
        now[0] = at
        await queries.cover(who, FEED, 5, actor=None, purpose=None)
    assert await size_of(ledger) == size + 2
    assert len(queries._known) == 1 < MAX_REMEMBERED


async def test_opening_those_of_many_people_needs_a_reason(ledger: Ledger) -> None:
    dpo, actor = credential(Role.DPO), str(uuid4())
    cases = [identified() for _ in range(BULK)]
    recorded = await ledger.record(ANY, cases)
    for one in recorded[: BULK - 1]:
        for _ in range(2):
            await ledger.sealed(dpo, one.position, actor, "review")
    size, last = await size_of(ledger), recorded[-1]
    for reason in (None, "curiosity"):
        with pytest.raises(ReasonRequired):
            await ledger.sealed(dpo, last.position, actor, "review", reason)
        # Another name with the same token is the same reader.
        with pytest.raises(ReasonRequired):
            await ledger.sealed(dpo, last.position, str(uuid4()), "review", reason)
        with pytest.raises(ReasonRequired):
            await ledger.bundle(dpo, last.stream, actor=actor, purpose="review", reason=reason)
        with pytest.raises(ReasonRequired):
            await ledger.bundle(
                dpo, last.stream, "subject", actor=actor, purpose="review", reason=reason
            )
    assert await size_of(ledger) == size
    # Another person with a token of their own may, and so may the same one where nothing sealed is
    # opened.
    await ledger.sealed(credential(Role.DPO), last.position, str(uuid4()), "review")
    await ledger.bundle(dpo, last.stream, actor=actor)
    await ledger.sealed(dpo, last.position, actor, "review", "inspection")
    position = await size_of(ledger) - 1
    sealed = await ledger.sealed(credential(Role.INSPECTOR), position, ACTOR, "inspection")
    assert sealed["bulk_reason"] == "inspection"
