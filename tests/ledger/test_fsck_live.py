"""`fsck` beside a running service: what changes between its looks is no false alarm.

The log is read as of one moment, the guard and the key store as they are; whatever the service
does in between, a whole ledger must be found whole.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.fsck import check, erasures
from ledger.fsck.shape import misshapen
from ledger.log.guard import remembered
from ledger_verifier.audit.report.model import Report, Verdict
from tests.ledger.acts import act, identified
from tests.ledger.copies import ANY, DPO


@pytest_asyncio.fixture
async def ledger(directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(directory.path) as opened:
        yield opened


async def test_what_is_recorded_once_the_snapshot_is_taken(
    directory: DataDirectory, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard is then ahead of what is looked at, and nothing is cut off."""
    loop = asyncio.get_running_loop()
    before = remembered(directory.guard_path)

    def then_record(*given: Any, **named: Any) -> Iterator[Any]:
        yield from misshapen(*given, **named)
        asyncio.run_coroutine_threadsafe(ledger.record(ANY, [identified()]), loop).result()

    monkeypatch.setattr("ledger.fsck.misshapen", then_record)
    report = await asyncio.to_thread(check, directory)
    assert remembered(directory.guard_path) != before
    assert report.verdict is Verdict.VERIFIED, report.failures


async def test_an_erasure_whose_keys_are_being_destroyed(
    directory: DataDirectory, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the entry and the key store there is a moment in which the keys are still there."""
    person = identified()
    await ledger.record(ANY, [person])
    waits: list[float] = []

    def carry_out(seconds: float) -> None:
        waits.append(seconds)
        monkeypatch.undo()
        ledger._opener.apply_erasures()

    monkeypatch.setattr("ledger.opening.apply_erasures", lambda *_: [])
    await ledger.record(DPO, [act("erasure.executed", person.stream)])
    monkeypatch.setattr(erasures, "_pause", carry_out)
    report = await asyncio.to_thread(check, directory)
    assert len(waits) == 1
    assert report.verdict is Verdict.VERIFIED, report.failures


async def test_an_erasure_that_stays_undone_is_waited_for_only_so_long(
    directory: DataDirectory, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = identified()
    await ledger.record(ANY, [person])
    monkeypatch.setattr("ledger.opening.apply_erasures", lambda *_: [])
    (recorded,) = await ledger.record(DPO, [act("erasure.executed", person.stream)])
    waits: list[float] = []
    monkeypatch.setattr(erasures, "_pause", waits.append)
    report = await asyncio.to_thread(check, directory)
    assert 0 < sum(waits) <= 5
    assert [(f.position, f.stream) for f in report.failures] == [
        (recorded.position, person.stream.text)
    ]
    assert "not carried out" in report.failures[0].reason


async def test_a_service_that_records_and_erases_all_the_while(
    directory: DataDirectory, ledger: Ledger
) -> None:
    reports: list[Report] = []
    done = threading.Event()

    def look_on() -> None:
        while not done.is_set() or not reports:
            reports.append(check(directory))

    looking = asyncio.get_running_loop().run_in_executor(None, look_on)
    try:
        for _ in range(12):
            person = identified()
            await ledger.record(ANY, [person, act("data.disclosed", person.stream)])
            await ledger.record(DPO, [act("erasure.executed", person.stream)])
    finally:
        done.set()
        await looking
    assert {report.verdict for report in reports} == {Verdict.VERIFIED}, [
        report.failures for report in reports
    ]
