"""What keeps replicas apart: the head lock, the publisher's lock, and one order for new keys; and
what happens to a replica that stands still while it holds one of them."""

import asyncio
import select
from collections.abc import Iterator
from contextlib import closing
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import PersistenceError

from ledger import postgresql
from ledger.config import DataDirectory
from ledger.database import database_errors, open_database
from ledger.log.guard import Guard
from ledger.store import postgres
from ledger.store.postgres import PostgresStore
from ledger.store.rows import select_head
from ledger.vault.erasure import check_against_log
from ledger.vault.keystore import KeyStore, StreamKey
from ledger.vault.wrapper import LocalKeyWrapper
from ledger_verifier.formats.entry import StreamRef, decode
from tests.faults.account import Acknowledged, assert_whole
from tests.faults.life import living
from tests.ledger.acts import act, identified


def wait_for_publishers_lock(url: str) -> None:
    """Wait in the server's own queue until nobody holds the publisher's lock; raises when that
    takes too long."""
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("SET lock_timeout = '30s'")
        session.execute("SELECT pg_advisory_lock(%s)", (postgres.PUBLISHER_LOCK,))
        session.execute("SELECT pg_advisory_unlock(%s)", (postgres.PUBLISHER_LOCK,))


@pytest.fixture
def stores(first: DataDirectory) -> Iterator[tuple[PostgresStore, PostgresStore]]:
    """The store as two replicas have it open."""
    with (
        closing(PostgresStore(first.database)) as one,
        closing(PostgresStore(first.database)) as other,
    ):
        yield one, other


def test_one_publisher_at_a_time(
    stores: tuple[PostgresStore, PostgresStore], first: DataDirectory
) -> None:
    one, other = stores
    assert [one.try_publisher(), other.try_publisher(), one.try_publisher()] == [True, False, True]
    with pytest.raises(database_errors(), match="not the publisher"):
        other.publish(2, b"by another", "2026-01-01T00:00:00.000Z")
    one.close()
    wait_for_publishers_lock(first.database)
    assert other.try_publisher()


def test_a_publisher_that_falls_silent_is_replaced_and_publishes_nothing_more(
    stores: tuple[PostgresStore, PostgresStore],
    first: DataDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = stores
    monkeypatch.setattr(postgres, "PUBLISHER_IDLE_SECONDS", 1)
    assert one.try_publisher()
    assert not other.try_publisher()
    wait_for_publishers_lock(first.database)
    assert other.try_publisher()
    before = other.publications()
    # It was about to publish what it had read before it fell silent.
    with pytest.raises(database_errors()):
        one.publish(2, b"stale", "2026-01-01T00:00:00.000Z")
    assert other.publications() == before
    assert not one.try_publisher()


def test_a_replica_that_stops_inside_an_append_holds_up_nobody_for_long(
    first: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_SECONDS", 0.5)
    with (
        closing(PostgresStore(first.database)) as still,
        closing(PostgresStore(first.database)) as other,
        pytest.raises(PersistenceError),
        still.append() as stalled,
    ):
        with other.append() as transaction:
            assert transaction.head == stalled.head
        stalled.cells(0, 0, 1)


def stop_while_sending(rows: Any) -> None:
    """Begin to send a row in the manner of executemany, and fall silent before the end."""
    connection = rows._cursor.connection
    assert connection.info.server_version >= 170_000
    connection.pgconn.enter_pipeline_mode()
    connection.pgconn.send_query_params(b"SELECT 1", None)
    connection.pgconn.send_flush_request()
    connection.pgconn.flush()
    assert select.select([connection.pgconn.socket], [], [], 30)[0]


def test_a_replica_that_stops_while_it_sends_entries_holds_up_nobody_for_long(
    first: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server does not count it as idle: that it waits for the rest is all that it knows.
    monkeypatch.setattr(postgres, "APPEND_SECONDS", 0.5)
    reached: list[object] = []
    with (
        closing(PostgresStore(first.database)) as still,
        closing(PostgresStore(first.database)) as other,
        pytest.raises((PersistenceError, psycopg.Error)),
        still.append() as stalled,
    ):
        stop_while_sending(stalled._rows)
        with other._write() as rows:
            rows.execute("SET LOCAL lock_timeout = '30s'")
            reached.append(select_head(rows, " FOR UPDATE"))
    # Not inside: what stops the other one would pass for what stops the stalled one.
    assert reached == [stalled.head]


def test_a_replica_that_stops_while_it_sends_keys_holds_up_nobody_for_long(
    first: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "SENDING_SECONDS", 0.5)
    reached: list[str] = []
    insert = "INSERT INTO stream_keys (key_id, stream, key_class, wrapped) VALUES (?, ?, ?, ?)"
    stream = f"case/{uuid4()}"
    with (
        closing(open_database(first.key_database)) as still,
        closing(open_database(first.key_database)) as other,
        pytest.raises(database_errors()),
        still.transaction() as rows,
    ):
        rows.executemany(insert, [(str(uuid4()), stream, "subject", b"stalled")])
        stop_while_sending(rows)
        with other.transaction() as waiting:
            waiting.execute("SET LOCAL lock_timeout = '30s'")
            waiting.execute(insert, (str(uuid4()), stream, "subject", b"after it"))
            reached.append("after it")
    assert reached == ["after it"]


def test_a_long_look_at_the_log_is_not_cut_off(
    first: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_SECONDS", 0.3)
    counted: list[int] = []
    with (
        closing(PostgresStore(first.database)) as looking,
        closing(PostgresStore(first.database)) as still,
        closing(PostgresStore(first.database)) as other,
        looking.snapshot() as rows,
        pytest.raises(PersistenceError),
        still.append() as stalled,
    ):
        # The append began later and had the same time to be silent; it is cut off, to let this
        # one in.
        with other.append():
            pass
        rows.execute("SELECT COUNT(*) FROM entries")
        counted.append(rows.fetchone()[0])
        stalled.cells(0, 0, 1)
    assert counted
    assert counted[0] > 0


def test_a_replica_that_stops_while_it_makes_keys_holds_up_nobody_for_long(
    first: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "IDLE_IN_TRANSACTION_SECONDS", 0.5)
    insert = "INSERT INTO stream_keys (key_id, stream, key_class, wrapped) VALUES (?, ?, ?, ?)"
    stream = f"case/{uuid4()}"
    with (
        closing(open_database(first.key_database)) as still,
        closing(open_database(first.key_database)) as other,
        pytest.raises(database_errors()),
        still.transaction() as rows,
    ):
        rows.execute(insert, (str(uuid4()), stream, "subject", b"stalled"))
        keys = KeyStore(other, LocalKeyWrapper(first.wrapping_key()))
        assert keys.keys_for([(stream, "subject")])
        rows.execute("SELECT 1")


def test_replicas_that_make_the_same_keys_do_not_lock_crosswise(first: DataDirectory) -> None:
    streams = [f"case/{uuid4()}" for _ in range(300)]
    wanted: list[StreamKey] = [(stream, "subject") for stream in streams]
    found: list[dict[StreamKey, tuple[str, bytes]]] = []

    def mint(order: list[StreamKey]) -> None:
        with closing(open_database(first.key_database)) as opened:
            keys = KeyStore(opened, LocalKeyWrapper(first.wrapping_key()))
            found.append(keys.keys_for(order))

    threads = [Thread(target=mint, args=(order,)) for order in (wanted, wanted[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2
    assert found[0] == found[1]


def test_an_erasure_by_another_replica_at_a_start_is_no_alarm(first: DataDirectory) -> None:
    # The key store may move between two looks; the log that is looked at second has moved too.
    sizes = [10]

    class Moving(KeyStore):
        def applied_through(self) -> int:
            sizes.append(20)
            return 10

    with closing(open_database(first.key_database)) as opened:
        keys = Moving(opened, LocalKeyWrapper(first.wrapping_key()))
        check_against_log(keys, lambda: sizes[-1])


async def test_a_key_destroyed_elsewhere_is_never_used_again(
    first: DataDirectory, second: DataDirectory
) -> None:
    stream = StreamRef("case", str(uuid4()))
    events = [identified(stream), identified(stream), act("erasure.executed", stream)]
    later = act("case.closed", stream)
    with living(first) as one, living(second) as other:
        recorded = await one.record(events[0])
        # The other replica now has the stream's key in its memory.
        recorded += await other.record(events[1])
        recorded += await one.record(events[2])
        recorded += await other.record(later)
        for place in (0, 1):
            raw = one.store.entry(recorded[place].position)
            assert raw is not None
            assert other.opener.open(recorded[place].position, decode(raw)).erased == {"subject"}
        (row,) = one.store.sealed([recorded[3].position])
        assert row.key_id not in {key.key_id for key in one.store.destroyed_keys(0)}
    told = [
        Acknowledged(event.id, result.position, result.receipt)
        for event, result in zip([*events, later], recorded, strict=True)
    ]
    assert_whole(first, told)


async def test_turns_in_one_stream_make_one_chain(
    first: DataDirectory, second: DataDirectory
) -> None:
    stream = StreamRef("case", str(uuid4()))
    with living(first) as one, living(second) as other:
        lives = [one, other] * 10
        recorded = await asyncio.gather(*[life.record(identified(stream)) for life in lives])
        assert sorted(result.version for (result,) in recorded) == list(range(1, 21))
    assert_whole(first, [])


async def test_whoever_publishes_a_head_vouches_for_it(
    first: DataDirectory, second: DataDirectory
) -> None:
    with living(first) as one, living(second) as other:
        await one.record(identified())
        assert other.publisher.tick(0.0)
        assert not one.publisher.tick(0.0)
        head = one.store.head()
        assert head is not None
        with closing(Guard(second.guard_path)) as guard:
            assert guard.checkpoint == head.checkpoint
