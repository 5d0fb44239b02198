"""A log whose last entries are lost for good: another goes on for it, and says so."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger import config
from ledger.application import Ledger
from ledger.backup.restore import restore
from ledger.backup.succession import KEPT, KEPT_POLICY, succeed
from ledger.errors import ConfigurationError, IntegrityAlarm, LedgerError
from ledger.exports.bundles import write_log_bundle
from ledger.fsck import check
from ledger.store import open_store
from ledger_verifier.audit.engine import verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.bundle import BundleReader
from ledger_verifier.formats.entry import decode
from ledger_verifier.formats.errors import EntryError
from ledger_verifier.formats.policy import Policy
from ledger_verifier.meaning.succession import parse_predecessor
from tests.ledger.acts import identified
from tests.ledger.backup.world import ANY, SQLITE, World

NEW = "hub-ledger.example/log-2"


@pytest.fixture(scope="session")
def kept(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an auditor had of the log at its first backup."""
    path = tmp_path_factory.mktemp("kept")
    data = world.lost(path / "data")
    shutil.copy(world.guard(1), data / "keys" / "guard")
    restore(world.request(data, 1, 1, tail=False))
    with closing(open_store(config.load(data).database)) as store:
        write_log_bundle(store, path / "kept.zip")
    return path / "kept.zip"


@pytest.fixture
def old(world: World, tmp_path: Path) -> Path:
    """All that is left of the ledger: keys, guard, policy and settings."""
    data = world.lost(tmp_path / "old")
    shutil.copy(world.directory.path / "policy", data / "policy")
    settings = (world.directory.path / "ledger.toml").read_text()
    if world.make_database is not None:
        settings = settings.replace(world.directory.database, world.make_database())
    (data / "ledger.toml").write_text(settings)
    return data


def verified(bundle: Path, policy: Policy) -> Report:
    with bundle.open("rb") as file:
        report = verify_log(BundleLogReader(BundleReader(file)), policy)
    assert report.verdict is Verdict.VERIFIED, report.failures
    return report


async def test_a_new_log_goes_on_for_the_old_one(
    world: World, old: Path, kept: Path, tmp_path: Path
) -> None:
    made = [None, None] if world.make_database is None else [world.make_database() for _ in "ab"]
    done = succeed(
        tmp_path / "new", old, origin=NEW, kept=kept, database=made[0], key_database=made[1]
    )
    assert done.kept <= world.sizes[0] < done.size == world.sizes[2]
    directory = config.load(tmp_path / "new")
    async with Ledger.open(directory.path) as ledger:
        await ledger.record(ANY, [identified()])
    assert check(directory).verdict is Verdict.VERIFIED
    with closing(open_store(directory.database)) as store:
        raw = store.entry(0)
        write_log_bundle(store, tmp_path / "new.zip")
    assert raw is not None
    data = decode(raw)["data"]
    known = parse_predecessor(data["predecessor"], NEW, data["keys"])
    assert (known.origin, known.kept, known.size) == (
        world.directory.origin,
        done.kept,
        world.sizes[2],
    )
    assert data["predecessor"]["lost_first"] == done.kept
    assert data["predecessor"]["lost_last"] == world.sizes[2] - 1
    # The verifier says so, and the old log's remains are whole by themselves.
    report = verified(tmp_path / "new.zip", directory.policy())
    assert any(
        world.directory.origin in line and f"those from {done.kept}" in line
        for line in report.not_assessed
    ), report.not_assessed
    policy = Policy.parse((directory.path / KEPT_POLICY).read_bytes())
    assert verified(directory.path / KEPT, policy).tree_size == done.kept
    assert (directory.path / KEPT).stat().st_mode & 0o222 == 0
    with pytest.raises(LedgerError, match=f"the log {NEW} goes on for it"):
        async with Ledger.open(old):
            pass


def test_what_has_not_lost_anything_has_no_successor(
    world: World, old: Path, tmp_path: Path
) -> None:
    with pytest.raises(IntegrityAlarm, match="Nothing is lost"):
        succeed(tmp_path / "new", old, origin=NEW, kept=world.log)
    with pytest.raises(IntegrityAlarm, match="Nothing is lost: the old store"):
        succeed(tmp_path / "new", world.directory.path, origin=NEW)
    assert not (tmp_path / "new").exists()
    assert not (old / "succeeded").exists()
    assert not (world.directory.path / "succeeded").exists()


@SQLITE
def test_it_goes_on_under_another_name_once(world: World, old: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="own name"):
        succeed(tmp_path / "new", old, origin=world.directory.origin)
    succeed(tmp_path / "new", old, origin=NEW)
    with pytest.raises(ConfigurationError, match="one successor"):
        succeed(tmp_path / "third", old, origin=f"{NEW}-b")
    with pytest.raises(ConfigurationError, match="already"):
        succeed(tmp_path / "new", old, origin=NEW)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "another origin": ({"origin": "hub-ledger.example/other"}, "another log"),
    "a member more": ({"why": "x"}, "members"),
    "less is lost": ({"kept": 7, "lost_first": 7}, "what is lost"),
    "another range": ({"lost_first": 1}, "what is lost"),
    "no checkpoint": ({"checkpoints": []}, "checkpoints"),
    "a number for a text": ({"checkpoints": [1]}, "another type"),
    "no statement": ({"statement": "x"}, "note"),
}


@SQLITE
def test_what_an_entry_says_of_it_must_hold(old: Path, tmp_path: Path) -> None:
    succeed(tmp_path / "new", old, origin=NEW)
    with closing(open_store(config.load(tmp_path / "new").database)) as store:
        raw = store.entry(0)
    assert raw is not None
    data = decode(raw)["data"]
    parse_predecessor(data["predecessor"], NEW, data["keys"])
    for changes, words in CHANGES.values():
        with pytest.raises(EntryError, match=words):
            parse_predecessor({**data["predecessor"], **changes}, NEW, data["keys"])
    for origin, keys in ((f"{NEW}-b", data["keys"]), (NEW, data["keys"][:1])):
        with pytest.raises(EntryError, match="about another log"):
            parse_predecessor(data["predecessor"], origin, keys)
