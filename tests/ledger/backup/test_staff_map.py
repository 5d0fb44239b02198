"""The staff map in backups of the key store, and after restores."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger import config
from ledger.application import Ledger
from ledger.errors import VaultUnavailable
from ledger.expiring import Expirer
from ledger.exports.bundles import write_log_bundle
from ledger.fsck import check
from ledger.initialise import initialise
from ledger.store import open_store
from ledger_verifier.audit.report.model import Verdict
from tests.conftest import MakeDatabase
from tests.faults.life import living
from tests.ledger.acts import act
from tests.ledger.backup.world import World
from tests.ledger.test_staff import PERSON, ask, confirm, register, rows_of


@pytest.fixture(params=["sqlite", "postgresql"])
def staffed(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A ledger for these tests' own backups."""
    make: MakeDatabase | None = None
    if request.param == "postgresql":
        make = request.getfixturevalue("postgres")
    databases = (None, None) if make is None else (make(), make())
    directory = initialise(
        tmp_path / "data", database=databases[0], key_database=databases[1], publish_seconds=0.05
    )
    none = act("subject.identified").stream
    return World(tmp_path, directory, make, none, none, none)


async def test_what_a_restore_makes_of_the_staff_map(
    staffed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = staffed
    with living(world.directory) as life:
        adopted = act("policy.adopted")
        await life.record(adopted)
        early = await register(life)
        opening = await ask(life, early)
        monkeypatch.setattr(Expirer, "now", lambda _: datetime.now(UTC) + timedelta(4000))
        # So that a key store of now has every key that an order needs.
        await life.tombstones.have_key()
        world.back_up(1)
        late = await register(life, name="Another Fictional")
        head = life.store.head()
        assert head is not None
        life.publisher.publish(head)
    with closing(open_store(world.directory.database)) as store:
        write_log_bundle(store, world.log)

    # As it was: rows, keys, and a request that waits.
    data = world.path / "restored"
    world.guard(1).replace(world.directory.guard_path)
    world.restored(data, 1, 1, tail=False)
    restored = config.load(data)
    assert rows_of(restored).keys() == {early}
    with living(restored) as life:
        assert (await confirm(life, early, opening))["name"] == PERSON["name"]

    await lost_with_the_tail(world, early, late)

    # Under its own order it goes; a key store of before does not bring it back.
    with living(restored) as life:
        await life.record(act("expiry.ordered", adopted.stream))
        assert rows_of(restored) == {}
    again = replace(world, path=world.path / "again", directory=restored)
    again.path.mkdir()
    again.back_up(2)
    world.keys(1).rename(again.keys(1))
    again.restored(again.path / "data", 2, 1, tail=False)
    assert rows_of(config.load(again.path / "data")) == {}


async def lost_with_the_tail(world: World, early: str, late: str) -> None:
    """What the backup of the key store lacks and the log has is declared lost."""
    data = world.path / "tailed"
    world.restored(data, 1, 1)
    tailed = config.load(data)
    async with Ledger.open(data):
        # It declares what was lost.
        pass
    report = check(tailed)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert rows_of(tailed).keys() == {early}
    with living(tailed) as life:
        opening = await ask(life, late)
        with pytest.raises(VaultUnavailable, match="lost with a restore"):
            await confirm(life, late, opening)
