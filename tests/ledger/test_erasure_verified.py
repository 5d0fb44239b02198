"""After an erasure: what is looked at before the ledger says that nothing is left, and when it does
not say so; who is still to confirm; and that the horizon of the backups is noted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger import scanning, verifying
from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.errors import ErasureNotVerified
from ledger.fsck import check
from ledger.searching import CHUNK, found_in, search
from ledger.store import open_store
from ledger.submission import Submission
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.entry import decode
from tests.ledger.acts import act, credential, identified
from tests.ledger.copies import key_rows

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
LOOKED_AT = ["key-absent", "sealed-rows-absent", "opening-refused"]


async def state_of(ledger: Ledger, person: Submission) -> dict[str, Any]:
    return await ledger.case(DPO, person.stream.id, ACTOR, None)


async def erased(ledger: Ledger) -> Submission:
    person = identified()
    await ledger.record(ANY, [person])
    await ledger.record(DPO, [act("erasure.executed", person.stream)])
    return person


def verifications(directory: DataDirectory) -> list[dict[str, Any]]:
    with closing(open_store(directory.database)) as store:
        found = store.entries(0, 1000, [verifying.VERIFIED])
        return [decode(stored.raw)["data"] for stored in found]


async def test_it_is_verified_with_what_was_looked_at(directory: DataDirectory) -> None:
    async with Ledger.open(directory.path) as ledger:
        person = await erased(ledger)
        await ledger.erasures_verified()
        (erasure,) = (await state_of(ledger, person))["erasures"]
        more = [] if directory.embedded else ["tables-vacuumed"]
        assert erasure["checked"] == [*LOOKED_AT, "files-searched", *more]
        assert erasure["horizon_days"] == directory.key_backup_days == 30
        # Some entries alone, then the rest: each is verified for itself.
        other, closed = identified(), act("case.closed")
        closed = replace(closed, stream=other.stream)
        await ledger.record(ANY, [other, closed])
        some = act("erasure.executed", other.stream)
        named = {"scope": "entries", "erased_events": [other.id]}
        await ledger.record(DPO, [replace(some, data={**some.data, **named})])
        await ledger.record(DPO, [act("erasure.executed", other.stream)])
        await ledger.erasures_verified()
        both = (await state_of(ledger, other))["erasures"]
        assert [one["versions"] for one in both] == [[1], None]
        assert all(one["verified_at"] for one in both)
    assert check(directory).verdict is Verdict.VERIFIED


async def test_what_is_left_in_a_file_is_not_verified(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(verifying, "MAX_RETRY_SECONDS", 0.05)
    person = identified()
    async with Ledger.open(sqlite_directory.path) as ledger:
        await ledger.record(ANY, [person])
        (key,) = key_rows(sqlite_directory, "WHERE stream = ?", person.stream.text)
        stored = key[3]
        assert isinstance(stored, bytes)
        left = sqlite_directory.path / "forgotten-export"
        left.write_bytes(bytes(CHUNK - 9) + stored + b"more")
        await ledger.record(DPO, [act("erasure.executed", person.stream)])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ledger.erasures_verified(), 1.0)
        state = await state_of(ledger, person)
        assert (state["status"], state["erasures"][0]["verified_at"]) == ("erasing", None)
        with pytest.raises(ErasureNotVerified):
            await ledger.erasure_certificate(DPO, person.stream.id, ACTOR, "controller")
        left.unlink()
        await ledger.erasures_verified()
        assert (await state_of(ledger, person))["erasures"][0]["checked"][-1] == "files-searched"


async def test_what_an_earlier_life_left_unverified_is_verified_once(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(scanning.Scan, "look", lambda *_: {})
        broken.setattr("ledger.application._VERIFY_SECONDS", 0.01)
        async with Ledger.open(sqlite_directory.path) as ledger:
            person = await erased(ledger)
    assert verifications(sqlite_directory) == []
    for _ in range(2):
        async with Ledger.open(sqlite_directory.path) as ledger:
            await ledger.erasures_verified()
            (erasure,) = (await state_of(ledger, person))["erasures"]
            # What was stored is known to nobody any more: no file was searched for it.
            assert erasure["checked"] == LOOKED_AT
    assert len(verifications(sqlite_directory)) == 1


async def test_files_are_not_searched_beyond_the_budget(
    sqlite_directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "BUDGET", 10)
    async with Ledger.open(sqlite_directory.path) as ledger:
        await erased(ledger)
        await ledger.erasures_verified()
    assert [data["checked"] for data in verifications(sqlite_directory)] == [LOOKED_AT]


@pytest.mark.parametrize(("days", "status"), [(0, "erasure-complete"), (1, "erased")])
async def test_the_horizon_is_noted_once_it_has_passed(
    sqlite_directory: DataDirectory, days: int, status: str
) -> None:
    async with Ledger.open(sqlite_directory.path) as ledger:
        ledger._verifying._horizon_days = days
        person = await erased(ledger)
        erasure = (await state_of(ledger, person))["erasures"][0]["id"]
        confirmed = act("source_erasure.confirmed", person.stream)
        data = {**confirmed.data, "executed_event": erasure}
        await ledger.record(ANY, [replace(confirmed, data=data)])
        await ledger.erasures_verified()
    async with Ledger.open(sqlite_directory.path) as ledger:
        await ledger.erasures_verified()
        state = await state_of(ledger, person)
    assert (state["status"], state["outstanding"]) == (status, [])
    # Nobody who records it early makes it so.
    async with Ledger.open(sqlite_directory.path) as ledger:
        early = act("backup.horizon_passed", person.stream)
        await ledger.record(DPO, [replace(early, data={"executed_event": erasure})])
        state = await state_of(ledger, person)
        assert state["status"] == status
        assert ("backup-horizon-stated-early" in state["findings"]) is (status == "erased")


def test_a_search_finds_what_lies_across_pieces_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    file = tmp_path / "deep" / "file"
    file.write_bytes(bytes(CHUNK - 3) + b"stretch" + bytes(CHUNK))
    assert search(tmp_path, [b"another", b"stretch", b"\0str"]) == {1, 2}
    assert found_in([tmp_path / "gone", file], [b"another"]) == set()
    assert search(tmp_path, []) == set()


@pytest.fixture
async def ledger(sqlite_directory: DataDirectory) -> AsyncIterator[Ledger]:
    async with Ledger.open(sqlite_directory.path) as opened:
        yield opened


async def test_many_erasures_change_no_verdict(
    ledger: Ledger, sqlite_directory: DataDirectory
) -> None:
    people = [identified() for _ in range(40)]
    await ledger.record(ANY, people)
    await ledger.record(DPO, [act("erasure.executed", one.stream) for one in people])
    await ledger.erasures_verified()
    report = check(sqlite_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["erased"] == 40
    assert len(verifications(sqlite_directory)) == 40
