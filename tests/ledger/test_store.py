"""The store's contract, on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator

import pytest
from eventsourcing.persistence import IntegrityError

from ledger.config import DataDirectory
from ledger.errors import ConfigurationError
from ledger.store import Store, open_store
from ledger.store.records import (
    ATTRIBUTION,
    SUBJECT,
    Append,
    DestroyedKey,
    Head,
    RecordedEntry,
    SealedRow,
    StreamHead,
)

KEY_ONE = "11111111-1111-4111-8111-111111111111"
KEY_TWO = "22222222-2222-4222-8222-222222222222"
EVENT = "33333333-3333-4333-8333-333333333333"


@pytest.fixture
def store(directory: DataDirectory) -> Iterator[Store]:
    opened = open_store(directory.database)
    yield opened
    opened.close()


def head_of(store: Store) -> Head:
    head = store.head()
    assert head is not None
    return head


def append_one(store: Store, stream: str, version: int = 1, *, source: str = "s") -> int:
    """Append an opaque entry with two sealed rows; returns its position."""
    with store.append() as transaction:
        head = transaction.head
        assert head is not None
        position = head.size
        transaction.write(
            Append(
                head=Head(position + 1, head.root, head.edge, head.checkpoint, head.recorded_at),
                first_position=position,
                entries=[
                    store.mapper.to_stored_event(RecordedEntry(stream, version, "t.e", b"\x00raw"))
                ],
                cells=[(0, position, bytes(32))],
                sealed=[
                    SealedRow(position, SUBJECT, KEY_ONE, b"sub"),
                    SealedRow(position, ATTRIBUTION, KEY_TWO, b"att"),
                ],
                duplicates=[(source, EVENT, position)],
                stream_heads={
                    stream: StreamHead(version, b"link", "central", "council", KEY_ONE, KEY_TWO)
                },
            )
        )
    return position


def test_a_ledger_is_created_once(store: Store) -> None:
    with pytest.raises(ConfigurationError):
        store.create()


def test_what_is_appended_is_read_back(store: Store) -> None:
    position = append_one(store, "case/x")
    assert store.entry(position) == b"\x00raw"
    assert store.entry(position + 1) is None
    assert head_of(store).size == position + 1
    assert store.cells(0, position, position + 5) == [bytes(32)]
    assert [(s.position, s.version, s.raw) for s in store.entries(position, 9)] == [
        (position, 1, b"\x00raw")
    ]
    assert store.stream_head("case/x") == StreamHead(
        1, b"link", "central", "council", KEY_ONE, KEY_TWO
    )
    assert store.stream_head("case/y") is None
    assert store.duplicates([("s", EVENT), ("other", EVENT)]) == {("s", EVENT): position}
    assert store.sealed([position]) == [
        SealedRow(position, ATTRIBUTION, KEY_TWO, b"att"),
        SealedRow(position, SUBJECT, KEY_ONE, b"sub"),
    ]
    assert [e.type for e in store.entries(position, 10, ["t.e"])] == ["t.e"]
    assert store.entries(0, 3, ["t.e"])[0].position == position


@pytest.mark.parametrize("collision", ["stream and version", "source and id"])
def test_a_collision_leaves_nothing(store: Store, collision: str) -> None:
    append_one(store, "case/x")
    before = head_of(store)
    with pytest.raises(IntegrityError):
        if collision == "stream and version":
            append_one(store, "case/x", 1, source="other")
        else:
            append_one(store, "case/z", 1)
    assert head_of(store) == before
    assert store.entry(before.size) is None
    assert store.cells(0, before.size, before.size + 1) == []
    assert store.stream_head("case/z") is None


def test_positions_stay_dense_after_a_refused_append(store: Store) -> None:
    first = append_one(store, "case/a")
    for _ in range(3):
        with pytest.raises(IntegrityError):
            append_one(store, "case/a", 1, source="other")
    assert append_one(store, "case/b", 1, source="later") == first + 1


def test_an_exception_in_the_block_rolls_back(store: Store) -> None:
    before = head_of(store)
    with pytest.raises(RuntimeError), store.append() as transaction:
        assert transaction.head == before
        transaction.write(Append(Head(99, b"", (), b"", ""), before.size))
        raise RuntimeError
    assert head_of(store) == before


def test_destroying_a_key_removes_its_rows_in_that_stream_alone(store: Store) -> None:
    mine = append_one(store, "case/a")
    other = append_one(store, "case/b", source="t")
    with store.append() as transaction:
        head = transaction.head
        assert head is not None
        transaction.write(
            Append(head, head.size, destroyed=[DestroyedKey(KEY_ONE, "case/a", head.size)])
        )
    store.scrub()
    assert [row.key_class for row in store.sealed([mine])] == [ATTRIBUTION]
    assert [row.key_class for row in store.sealed([other])] == [ATTRIBUTION, SUBJECT]
    assert store.destroyed_keys(0) == [DestroyedKey(KEY_ONE, "case/a", head.size)]
    assert store.destroyed_keys(head.size + 1) == []


def test_a_snapshot_sees_one_moment(store: Store) -> None:
    with store.snapshot() as rows:
        rows.execute("SELECT COUNT(*) FROM entries")
        before = rows.fetchone()[0]
        append_one(store, "case/a")
        rows.execute("SELECT COUNT(*) FROM entries")
        assert rows.fetchone()[0] == before


def test_publications_are_kept_in_order(store: Store) -> None:
    first = store.publications()
    store.publish(7, b"seven", "2026-01-01T00:00:00.000Z")
    store.publish(9, b"nine", "2026-01-01T00:00:01.000Z")
    assert store.newest_publication() == (9, b"nine")
    assert store.publications(after=first[-1][0]) == [(2, 7, b"seven"), (3, 9, b"nine")]


def test_many_values_are_looked_up_in_pieces(store: Store) -> None:
    position = append_one(store, "case/x")
    keys = [(f"source-{n}", EVENT) for n in range(1200)]
    assert store.duplicates([*keys, ("s", EVENT)]) == {("s", EVENT): position}
    assert len(store.sealed(list(range(2000)))) == 2


def test_the_mapper_does_not_touch_the_bytes(store: Store) -> None:
    entry = RecordedEntry("case/x", 3, "a.b", bytes(range(256)))
    stored = store.mapper.to_stored_event(entry)
    assert stored.state == entry.raw
    assert store.mapper.to_domain_event(stored) == entry
