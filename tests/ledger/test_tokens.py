"""Tokens: found, ended, revoked within the promised time, and never kept in the clear."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.access import Role
from ledger.database import SqliteDatabase, open_database
from ledger.tokens import CACHE_SECONDS, CACHE_SIZE, TokenRefused, TokenStore

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Clock:
    """Wall and monotonic time that stand still until moved."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def move(self, seconds: float) -> None:
        self.elapsed += seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = open_database(tmp_path / "tokens.db")
    assert isinstance(database, SqliteDatabase)
    yield database
    database.close()


def store_on(database: SqliteDatabase, clock: Clock) -> TokenStore:
    store = TokenStore(database, now=clock.now, monotonic=clock.monotonic)
    store.create_table()
    return store


@pytest.fixture
def store(database: SqliteDatabase, clock: Clock) -> TokenStore:
    return store_on(database, clock)


BOUND: dict[str, Any] = {
    "organisation": "lewisham-council",
    "hubs": ["E09000023", "central"],
    "sources": ["lewisham-cases"],
}


def test_what_is_made_is_found(store: TokenStore) -> None:
    text, credential = store.create("submitter", **BOUND)
    assert re.fullmatch(r"hl_[A-Za-z0-9_-]{43}", text)
    assert credential.role is Role.SUBMITTER
    assert credential.hubs == {"E09000023", "central"}
    assert store.find(text) == credential
    assert store.find_remembered(text) == credential
    assert [record.credential for record in store.list()] == [credential]


def test_the_text_is_kept_nowhere(store: TokenStore, tmp_path: Path) -> None:
    text, _ = store.create("auditor", all=True)
    store.find(text)
    for path in tmp_path.iterdir():
        assert text.encode() not in path.read_bytes()
        assert text[3:].encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "text",
    ["", "hl_", "hl_" + "A" * 43, "hl_" + "A" * 42 + "\n", "HL_" + "A" * 43, "x" * 10_000, "hl_é"],
)
def test_what_was_never_made_is_not_found(store: TokenStore, text: str) -> None:
    store.create("auditor", all=True)
    assert store.find(text) is None
    assert store.find_remembered(text) is None


def test_a_revoked_token_is_refused_at_once_here_and_in_time_elsewhere(
    database: SqliteDatabase, store: TokenStore, clock: Clock
) -> None:
    elsewhere = store_on(database, clock)
    text, credential = store.create("submitter", **BOUND)
    assert store.find(text) == credential
    assert elsewhere.find(text) == credential
    clock.move(1)
    assert store.revoke(credential.public_id)
    assert store.find(text) is None
    assert elsewhere.find(text) == credential
    clock.move(CACHE_SECONDS - 1)
    assert elsewhere.find(text) is None
    assert CACHE_SECONDS < 5


def test_revoking_twice_or_what_is_not_there(store: TokenStore) -> None:
    _, credential = store.create("auditor", all=True)
    assert store.revoke(credential.public_id)
    assert not store.revoke(credential.public_id)
    assert not store.revoke("00000000-0000-4000-8000-000000000000")
    assert store.list()[0].revoked_at == "2026-03-02T09:00:00.000Z"


def test_a_lookup_under_way_does_not_remember_what_was_revoked_meanwhile(
    database: SqliteDatabase, clock: Clock
) -> None:
    def revoke_now() -> datetime:
        # The wall clock is read after the row: the one moment that a revocation can slip into.
        if armed:
            armed.clear()
            store.revoke(credential.public_id)
        return clock.now()

    armed: list[bool] = []
    store = TokenStore(database, now=revoke_now, monotonic=clock.monotonic)
    store.create_table()
    text, credential = store.create("inspector", all=True)
    armed.append(True)
    assert store.find(text) == credential
    assert store.find_remembered(text) is None
    assert store.find(text) is None


def test_an_end_is_kept_to_the_moment_and_also_from_memory(store: TokenStore, clock: Clock) -> None:
    text, credential = store.create("auditor", all=True, not_after="2026-03-02T09:00:02.000Z")
    assert store.find(text) == credential
    clock.move(1.999)
    assert store.find_remembered(text) == credential
    clock.move(0.001)
    assert store.find_remembered(text) is None
    assert store.find(text) is None


def test_an_inspectors_token_always_ends(store: TokenStore) -> None:
    _, credential = store.create("inspector", all=True, reference="ICO IC-1234")
    assert credential.not_after == "2026-03-30T09:00:00.000Z"
    _, other = store.create("auditor", all=True)
    assert other.not_after is None
    assert [record.reference for record in store.list() if record.reference] == ["ICO IC-1234"]


def test_memory_is_bounded(store: TokenStore) -> None:
    texts = [store.create("auditor", all=True)[0] for _ in range(3)]
    for text in texts:
        store.find(text)
    assert store.find_remembered(texts[0]) is not None
    assert len(store._remembered) == 3
    for index in range(CACHE_SIZE):
        store._remembered[index.to_bytes(32)] = store._remembered[next(iter(store._remembered))]
    store.find(store.create("auditor", all=True)[0])
    assert len(store._remembered) == CACHE_SIZE


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("king", {}),
        ("submitter", {"all": True}),
        ("submitter", {"organisation": None}),
        ("submitter", {"hubs": []}),
        ("submitter", {"sources": []}),
        ("submitter", {"hubs": ["Lewisham"]}),
        ("submitter", {"organisation": "Lewisham Council"}),
        ("submitter", {"sources": ["x"]}),
        ("submitter", {"sources": ["hub-ledger"]}),
        ("submitter", {"organisation": "hub-ledger"}),
        ("submitter", {"not_after": "tomorrow"}),
        ("submitter", {"not_after": "2026-02-28T09:00:00.000Z"}),
        ("submitter", {"reference": "a\nb"}),
    ],
)
def test_what_no_token_is_made_for(store: TokenStore, role: str, changes: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused, match=r"\w"):
        store.create(role, **{**BOUND, **changes})
    assert store.list() == []


def test_who_only_reads_needs_no_source(store: TokenStore) -> None:
    _, credential = store.create("auditor", **{**BOUND, "sources": []})
    assert credential.sources == frozenset()
