"""What is kept of the expired, and what fsck says when something of it is changed."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import pytest

from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.errors import Expired, VaultUnavailable
from ledger.expiring import Expirer
from ledger.exports.bundles import read_entry_bundle
from ledger.fsck import check, check_rows
from ledger.initialise import initialise
from ledger.store import open_store
from ledger.store.rows import Rows, key_column
from ledger.submission import Submission
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.tiles import Tile, decode_entries
from tests.faults.life import living
from tests.ledger.acts import act, identified

LATER = datetime.now(UTC) + timedelta(days=4000)


@dataclass(frozen=True)
class Kept:
    """A ledger in which a case and an erased party have expired: the first event of the case, the
    number of their entries, and the position of an entry after that, the last of its stream."""

    directory: DataDirectory
    event: Submission
    count: int
    last: int

    @property
    def zeros(self) -> str:
        """What has the length of a signature, in SQL."""
        return "zeroblob(64)" if self.directory.embedded else f"'\\x{'00' * 64}'::bytea"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    database = key_database = None
    if request.param == "postgresql":
        make = request.getfixturevalue("postgres")
        database, key_database = make(), make()
    path = tmp_path_factory.mktemp("expired") / "data"
    directory = initialise(path, database=database, key_database=key_database)
    case, party = (StreamRef(kind, str(uuid4())) for kind in ("case", "party"))
    event = identified(case)

    async def record() -> tuple[int, int]:
        with living(directory) as life, pytest.MonkeyPatch.context() as patch:
            patch.setattr(Expirer, "now", lambda _: LATER)
            await life.record(act("policy.adopted"))
            await life.record(event, act("data.disclosed", case), act("case.closed", case))
            await life.record(act("erasure.ordered", party))
            await life.record(act("erasure.executed", party))
            count = sum(len(life.store.stream(one.text)) for one in (case, party))
            await life.record(act("expiry.ordered"))
            (last,) = await life.record(identified())
            await life.record(identified())
            return count, last.position

    return Kept(directory, event, *asyncio.run(record()))


@contextmanager
def changed(kept: Kept, *statements: str) -> Iterator[tuple[Rows, Report]]:
    """The ledger with these statements executed, and fsck's report on it; nothing is committed."""
    directory = kept.directory
    raw = (directory.path / "policy").read_bytes()
    with closing(open_store(directory.database)) as store:
        try:
            with store._write() as rows:
                for statement in statements:
                    rows.execute(statement.replace("{key}", key_column(store.position_sql)))
                digest = sha256(raw).hexdigest()
                policy = directory.policy()
                yield rows, check_rows(directory, rows, store.position_sql, policy, digest)
                raise _Undone
        except _Undone:
            return


class _Undone(Exception):
    """Nothing of it is to be committed."""


def test_an_expired_case_is_in_order(kept: Kept) -> None:
    report = check(kept.directory)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["expired"] == kept.count > 4
    assert report.checked["expired streams"] == 2


ONE_OF = "(SELECT key_id FROM destroyed_keys ORDER BY key_id LIMIT 1)"
DAMAGE = {
    "a span that the log does not have": "INSERT INTO expired VALUES (4, 4, 9)",
    "a span is gone": "DELETE FROM expired",
    "a tombstone is gone": "DELETE FROM tombstones WHERE hub IS NULL",
    "no stream's tombstone is left": "DELETE FROM tombstones WHERE hub IS NOT NULL",
    "an earlier expiry as the last": "UPDATE expiry_state SET through = 3",
    "a key of no expiry": "UPDATE destroyed_keys SET position = 2 WHERE stream = ''",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_kept_is_changed(kept: Kept, damage: str) -> None:
    with changed(kept, DAMAGE[damage]) as (_, report):
        assert report.verdict is Verdict.FAILED


KEYS = {
    "one is forgotten": f"DELETE FROM destroyed_keys WHERE key_id = {ONE_OF}",
    "all are forgotten": "DELETE FROM destroyed_keys",
    "one that is in use is added": "INSERT INTO destroyed_keys SELECT subject_key, '',"
    " (SELECT MAX(position) FROM destroyed_keys) FROM stream_heads"
    " WHERE subject_key IS NOT NULL LIMIT 1",
    "one is another": f"UPDATE destroyed_keys SET key_id = (SELECT mark FROM tombstones LIMIT 1)"
    f" WHERE key_id = {ONE_OF}",
}


@pytest.mark.parametrize("note", [False, True])
@pytest.mark.parametrize("damage", KEYS)
def test_the_keys_named_as_destroyed_are_the_entrys(kept: Kept, damage: str, note: bool) -> None:
    """Also where a note says, unsigned, that a restore did not know them all."""
    noted = [f"INSERT INTO restored_expiries SELECT position, {kept.zeros} FROM expired LIMIT 1"]
    with changed(kept, *noted * note, KEYS[damage]) as (rows, report):
        rows.execute("SELECT MAX(position) FROM expired")
        (position,) = rows.fetchone()
        words = "the keys named as destroyed by this entry are not its own"
        assert (position, words) in {(f.position, f.reason) for f in report.failures}


def test_one_more_removed_by_hand(kept: Kept) -> None:
    with changed(kept, f"DELETE FROM entries WHERE {{key}} = {kept.last + 1}") as (_, report):
        assert report.verdict is Verdict.FAILED
        assert report.failures[0].position == kept.last
        assert "absent without an entry" in report.failures[0].reason


def test_an_expired_entry_is_put_back(kept: Kept) -> None:
    """Whatever bytes: the log says that they are gone."""
    with closing(open_store(kept.directory.database)) as store, store.read() as rows:
        rows.execute("SELECT MIN(first) FROM expired")
        (first,) = rows.fetchone()
    copy = (
        "INSERT INTO entries ({key}, originator_id, originator_version, topic, state)"
        f" SELECT {first + 1}, 'case/x', 1, topic, state FROM entries WHERE {{key}} = {kept.last}"
    )
    with changed(kept, copy) as (_, report):
        assert report.verdict is Verdict.FAILED
        found = [f.reason for f in report.failures if f.position == first]
        assert any("bytes are there" in reason for reason in found)
        assert any("not the entry that the signed root has" in reason for reason in found)


def test_entries_are_served_without_bytes(kept: Kept) -> None:
    with closing(open_store(kept.directory.database)) as store:
        size = kept.last + 1
        entries = decode_entries(read_entry_bundle(store, Tile(None, 0, size)), size)
        gone = [position for position, raw in enumerate(entries) if not raw]
        assert len(gone) == kept.count
        assert all(store.has_expired(position) for position in gone)
        assert not store.has_expired(gone[-1] + 1)


async def test_without_the_key_of_tombstones_nothing_is_recorded(kept: Kept) -> None:
    """An older key store must not make what expired look new."""
    keys = open_database(kept.directory.key_database)
    with closing(keys):
        with keys.transaction() as rows:
            rows.execute("SELECT key_id FROM stream_keys WHERE key_class = 'tombstones'")
            (row,) = rows.fetchall()
            rows.execute("UPDATE stream_keys SET key_id = 'away' WHERE key_id = ?", row)
        with living(kept.directory) as life, pytest.raises(VaultUnavailable):
            await life.record(kept.event)
        with keys.transaction() as rows:
            rows.execute("UPDATE stream_keys SET key_id = ? WHERE key_id = 'away'", row)
    with living(kept.directory) as life, pytest.raises(Expired):
        await life.record(kept.event)
