"""Auditors are given what concerns the few people of a small hub month by month."""

import time
from dataclasses import replace
from typing import Any

import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.batches import FEW, Batches
from ledger.config import DataDirectory
from tests.ledger.acts import LEWISHAM, act, credential, identified

ANY = credential()
DPO = credential(Role.DPO)
AUDITOR = credential(Role.AUDITOR)


def entry(kind: str = "case", recorded_at: str = "2026-03-31T23:59:59.999Z") -> dict[str, Any]:
    return {"stream": {"kind": kind}, "recorded_at": recorded_at}


@pytest.mark.parametrize(
    ("role", "kind", "now", "live", "waits"),
    [
        (Role.AUDITOR, "case", "2026-03-31T23:59:59.999Z", FEW - 1, True),
        (Role.AUDITOR, "party", "2026-03-31T23:59:59.999Z", FEW - 1, True),
        (Role.AUDITOR, "case", "2026-03-31T23:59:59.999Z", FEW, False),
        (Role.AUDITOR, "case", "2026-04-01T00:00:00.000Z", 0, False),
        (Role.AUDITOR, "content", "2026-03-31T23:59:59.999Z", 0, False),
        (Role.AUDITOR, "agreement", "2026-03-31T23:59:59.999Z", 0, False),
        (Role.INSPECTOR, "case", "2026-03-31T23:59:59.999Z", 0, False),
        (Role.DPO, "case", "2026-03-31T23:59:59.999Z", 0, False),
    ],
)
def test_what_waits(role: Role, kind: str, now: str, live: int, waits: bool) -> None:
    batches = Batches(credential(role), None, now, lambda: {LEWISHAM: live})
    assert batches.waits(entry(kind), LEWISHAM) is waits


def test_a_hub_without_a_case_is_small_and_the_count_is_asked_for_once() -> None:
    asked = []

    def count() -> dict[str, int]:
        asked.append(1)
        return {"E09000007": FEW}

    batches = Batches(AUDITOR, None, "2026-03-31T00:00:00.000Z", count)
    assert [batches.waits(entry(), hub) for hub in (LEWISHAM, "E09000007")] == [True, False]
    assert len(asked) == 1


async def projected(ledger: Ledger) -> None:
    deadline = time.monotonic() + 10
    while (status := await ledger.status())["projected_size"] < status["tree_size"]:
        assert time.monotonic() < deadline, "the projection does not catch up"


async def test_the_feed_ends_for_an_auditor_where_a_small_hubs_month_begins(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    people_of = frozenset({"subject.identified", "agreement.registered"})
    async with Ledger.open(directory.path) as ledger:
        people = [identified() for _ in range(FEW)]
        first, *_ = await ledger.record(ANY, people[:-1])
        # Whatever day it is: no month ends while this runs.
        monkeypatch.setattr("ledger.reading.instant", lambda _: first.recorded_at)
        agreement = act("agreement.registered")
        await ledger.record(ANY, [agreement])
        await projected(ledger)
        seen, after, size = await ledger.feed(AUDITOR, first.position - 1)
        # Whoever follows it stops here, and passes over nothing.
        assert (seen, after + 1, size) == ([], first.position, first.position)
        everything, _, _ = await ledger.feed(DPO, first.position - 1, types=people_of)
        assert len(everything) == FEW
        # What is asked for and does not wait is given at once.
        agreements = frozenset({agreement.type})
        seen, _, size = await ledger.feed(AUDITOR, first.position - 1, types=agreements)
        assert len(seen) == 1
        assert size > first.position
        # Of two types that may be about a person, where it ends tells neither.
        for one in ("subject.identified", "data.disclosed"):
            ended = await ledger.feed(AUDITOR, first.position - 1, types=frozenset({one}))
            assert ended == ([], first.position - 1, first.position)
        await ledger.record(ANY, people[-1:])
        await projected(ledger)
        seen, _, _ = await ledger.feed(AUDITOR, first.position - 1, types=people_of)
        assert len(seen) == FEW + 1
        # A case that has ended is not live.
        await ledger.record(ANY, [replace(act("case.closed"), stream=people[0].stream)])
        await projected(ledger)
        seen, _, _ = await ledger.feed(AUDITOR, first.position - 1)
        assert seen == []
