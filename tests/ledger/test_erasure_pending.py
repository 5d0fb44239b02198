"""Erasures that wait to be verified: whatever becomes of one of them, the others are."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest

from ledger import verifying
from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import VaultUnavailable
from ledger.expiring import Expirer
from ledger.fsck import check
from ledger.scanning import Executed, Scan
from ledger.store import open_store
from ledger.submission import Submission
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import StreamRef, decode
from tests.ledger.acts import act, credential, identified

ANY = credential()
DPO = credential(Role.DPO)
LATER = datetime.now(UTC) + timedelta(days=4000)


@pytest.fixture
async def ledger(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ledger]:
    for name in ("RETRY_SECONDS", "MAX_RETRY_SECONDS"):
        monkeypatch.setattr(verifying, name, 0.02)
    async with Ledger.open(sqlite_directory.path) as opened:
        yield opened


def verified_in(directory: DataDirectory, stream: StreamRef) -> int:
    """How many verifications a stream holds."""
    with closing(open_store(directory.database)) as store:
        return [one.type for one in store.stream(stream.text)].count(verifying.VERIFIED)


async def erased(ledger: Ledger) -> Submission:
    person = identified()
    await ledger.record(ANY, [person])
    await ledger.record(DPO, [act("erasure.executed", person.stream)])
    return person


@pytest.mark.parametrize("looked", ["before", "after"])
async def test_one_that_expires_is_dropped_and_the_others_are_verified(
    ledger: Ledger,
    sqlite_directory: DataDirectory,
    monkeypatch: pytest.MonkeyPatch,
    looked: str,
) -> None:
    """The look at it ends before the expiry, and what was seen is recorded after; or the reverse:
    nothing is there to be looked at any more."""
    monkeypatch.setattr(Expirer, "now", lambda _: LATER)
    began, goes_on, look = threading.Event(), threading.Event(), Scan.look

    def held(scan: Scan, executed: Sequence[Executed]) -> dict[int, list[str]]:
        clean = look(scan, executed) if looked == "before" else {}
        began.set()
        goes_on.wait()
        return clean or look(scan, executed)

    party = StreamRef("party", str(uuid4()))
    await ledger.record(DPO, [act("policy.adopted"), act("record.altered", party)])
    monkeypatch.setattr(Scan, "look", held)
    await ledger.record(DPO, [act("erasure.executed", party)])
    try:
        await asyncio.to_thread(began.wait)
        other = await erased(ledger)
        await ledger.record(DPO, [act("expiry.ordered")])
    finally:
        goes_on.set()
    async with asyncio.timeout(30):
        await ledger.erasures_verified()
    assert verified_in(sqlite_directory, party) == 0
    assert verified_in(sqlite_directory, other.stream) == 1
    report = check(sqlite_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


class Altered(Exception):
    """What nobody expected."""


@pytest.mark.parametrize("error", [Altered("a name"), VaultUnavailable("away")])
async def test_what_nobody_expected_is_logged_and_holds_up_no_other(
    ledger: Ledger,
    sqlite_directory: DataDirectory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    """At the first look of all, at what one says, and at what is recorded of it."""
    left = 1

    def fails_at_first(owner: type, method: str) -> None:
        working = getattr(owner, method)

        def failing(*arguments: object) -> object:
            nonlocal left
            if left:
                left -= 1
                raise error
            return working(*arguments)

        monkeypatch.setattr(owner, method, failing)

    for owner, method in ((Scan, "_check"), (Scan, "look"), (verifying.Verifying, "_said")):
        left = 1
        fails_at_first(owner, method)
        first, second = [await erased(ledger) for _ in range(2)]
        async with asyncio.timeout(30):
            await ledger.erasures_verified()
        assert left == 0
        assert [verified_in(sqlite_directory, one.stream) for one in (first, second)] == [1, 1]
        said = [orjson.loads(line) for line in capfd.readouterr().err.splitlines()]
        assert [line["error"][0] for line in said] == [type(error).__name__]
        assert "a name" not in str(said)


async def test_what_an_earlier_life_left_is_taken_up_when_the_store_answers_again(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "RETRY_SECONDS", 0.02)
    with monkeypatch.context() as broken:
        broken.setattr(Scan, "look", lambda *_: {})
        broken.setattr("ledger.application._VERIFY_SECONDS", 0.01)
        async with Ledger.open(sqlite_directory.path) as ledger:
            person = await erased(ledger)
    unverified = verifying.Verifying._unverified
    failed: list[bool] = []

    def failing(self: verifying.Verifying) -> list[Executed]:
        if not failed:
            failed.append(True)
            raise OSError("the database does not answer")
        return unverified(self)

    monkeypatch.setattr(verifying.Verifying, "_unverified", failing)
    async with Ledger.open(sqlite_directory.path) as ledger:
        async with asyncio.timeout(30):
            await ledger.erasures_verified()
        assert verified_in(sqlite_directory, person.stream) == 1


async def test_erasures_under_one_id_of_two_sources_are_each_verified(
    ledger: Ledger, sqlite_directory: DataDirectory
) -> None:
    """An id is its source's alone: that another has used it, in another stream, means nothing."""
    one, other = identified(), identified()
    await ledger.record(ANY, [one, other])
    erasure = act("erasure.executed", one.stream)
    await ledger.record(DPO, [erasure])
    await ledger.erasures_verified()
    again = replace(erasure, stream=other.stream, source="met-cases")
    await ledger.record(DPO, [again])
    await ledger.erasures_verified()
    assert [verified_in(sqlite_directory, event.stream) for event in (one, other)] == [1, 1]
    assert check(sqlite_directory).verdict is Verdict.VERIFIED


async def test_a_horizon_that_was_stated_early_is_noted_once_it_has_passed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await erased(ledger)
    await ledger.erasures_verified()
    found, _, _ = await ledger.feed(DPO, types=frozenset({"erasure.executed"}))
    named = {"executed_event": decode(found[-1][1])["id"]}
    early = act(verifying.HORIZON, person.stream)
    await ledger.record(DPO, [replace(early, data=named)])
    assert ledger._verifying._passed() == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 40 * 86400)
    (due,) = ledger._verifying._passed()
    assert (due.stream, due.submission.data) == (person.stream.text, named)
