"""An erasure of some entries, after the backup: what it kept was sealed again, and is lost with the
tail."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from ledger import config
from ledger.application import Ledger
from ledger.backup.make import back_up
from ledger.backup.restore import Request, restore
from ledger.config import DataDirectory
from ledger.exports.bundles import write_log_bundle
from ledger.fsck import check
from ledger.store import open_store
from ledger_verifier.audit.report.model import Verdict
from tests.ledger.acts import act, identified
from tests.ledger.backup.world import ANY, DPO, published

ACTOR = str(uuid4())


async def test_what_a_partial_erasure_kept_is_declared_lost(
    sqlite_directory: DataDirectory, tmp_path: Path
) -> None:
    data, person = sqlite_directory.path, identified()
    between, stream = identified(), person.stream
    offered = act("support.offered", stream)
    async with Ledger.open(data) as ledger:
        gone, _, kept = await ledger.record(ANY, [person, between, offered])
        back_up(data, tmp_path / "events", tmp_path / "keys")
        erasure = act("erasure.executed", stream)
        named = {"scope": "entries", "erased_events": [person.id]}
        await ledger.record(DPO, [replace(erasure, data={**erasure.data, **named})])
        # Verified is an entry too: recorded after the bundle was made, it would be missing from it.
        await ledger.erasures_verified()
        await published(ledger)
    with closing(open_store(sqlite_directory.database)) as store:
        write_log_bundle(store, tmp_path / "log.zip")
    shutil.move(data / "keys", tmp_path / "safe")
    shutil.rmtree(data)
    data.mkdir()
    shutil.move(tmp_path / "safe", data / "keys")
    for path in (data / "keys").glob("keys.sqlite*"):
        path.unlink()
    request = Request(data, tmp_path / "events", tmp_path / "keys", tmp_path / "log.zip")
    assert restore(request).lost > 0
    async with Ledger.open(data) as ledger:
        assert await ledger.sealed(DPO, gone.position, ACTOR, "review") == {}
        # What was sealed before and between, under other keys, is as it was.
        assert await ledger.sealed(DPO, gone.position + 1, ACTOR, "review") != {}
        again = await ledger.record(ANY, [offered])
        assert [one.position for one in again] == [kept.position]
        (closed,) = await ledger.record(ANY, [act("case.closed", stream)])
        assert await ledger.sealed(DPO, closed.position, ACTOR, "review") != {}
        await published(ledger)
    report = check(config.load(data))
    assert report.verdict is Verdict.VERIFIED, report.failures
