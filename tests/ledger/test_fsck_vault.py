"""`fsck` holds the key store against the log, and sealed rows against both.

On either database: what is changed in the key store, what comes back to it, and what stays in it
is found; what the service itself may leave there is not an alarm.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.fsck import check
from ledger.log.clock import Clock, instant, seconds_of
from ledger.log.publisher import Publisher
from ledger.store import open_store
from ledger.store.records import ATTRIBUTION, SUBJECT, SealedRow
from ledger.store.rows import id_bytes
from ledger.vault.keystore import KeyStore
from ledger.vault.wrapper import LocalKeyWrapper
from ledger_verifier.audit.report.model import Report, Verdict
from ledger_verifier.formats.checkpoint import Checkpoint, MLDSA44Cosigner
from ledger_verifier.formats.entry import StreamRef
from ledger_verifier.formats.note import Note
from tests.conftest import MakeDatabase
from tests.ledger.acts import act
from tests.ledger.copies import (
    ANY,
    DPO,
    Filled,
    copied,
    fill,
    in_keys,
    in_store,
    key_rows,
    opened,
    sealed_anew,
    sealed_at,
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    path = tmp_path_factory.mktemp("fsck-vault") / "data"
    if request.param == "sqlite":
        return fill(path)
    make: MakeDatabase = request.getfixturevalue("postgres")
    return fill(path, make(), make())


@pytest.fixture
def copy(filled: Filled, tmp_path: Path) -> DataDirectory:
    return copied(filled, tmp_path / "data")


def assert_failed(
    report: Report, words: str, position: int | None = None, stream: str | None = None
) -> None:
    found = [(f.position, f.stream, f.reason) for f in report.failures]
    assert report.verdict is Verdict.FAILED, found
    matching = [f for f in report.failures if re.search(words, f.reason)]
    assert matching, found
    if position is not None:
        assert position in [f.position for f in matching], found
    if stream is not None:
        assert stream in [f.stream for f in matching], found


def put_sealed(directory: DataDirectory, row: SealedRow) -> None:
    where = "DELETE FROM sealed WHERE position = ? AND key_class = ?"
    in_store(directory, where, row.position, row.key_class)
    in_store(
        directory,
        "INSERT INTO sealed (position, key_class, key_id, ciphertext) VALUES (?, ?, ?, ?)",
        row.position,
        row.key_class,
        id_bytes(row.key_id),
        row.ciphertext,
    )


def test_a_copy_is_whole(copy: DataDirectory) -> None:
    report = check(copy)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert report.checked["erased"] == 3


ALTERED = {
    "of a stream that is not there": ("stream = 'case/nobody'", "another stream"),
    "of another class": ("key_class = 'other'", "another stream or class"),
    "under another id": ("key_id = '5dd4a2a3-0b6b-4b0e-9a43-3a4a3b1f7c11'", "is missing"),
    "wrapped otherwise": ("wrapped = {other}", "does not open"),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_key_altered(filled: Filled, copy: DataDirectory, name: str) -> None:
    change, words = ALTERED[name]
    other = "(SELECT wrapped FROM stream_keys WHERE stream <> ? LIMIT 1)"
    values = [filled.other] * (2 if "{other}" in change else 1)
    in_keys(
        copy,
        f"UPDATE stream_keys SET {change.replace('{other}', other)} WHERE stream = ?",
        *values,
    )
    assert_failed(check(copy), words, filled.other_at, filled.other)


def test_a_key_lost(filled: Filled, copy: DataDirectory) -> None:
    in_keys(copy, "DELETE FROM stream_keys WHERE stream = ?", filled.other)
    assert_failed(check(copy), "is missing", filled.other_at, filled.other)


def mint(directory: DataDirectory, stream: str) -> None:
    with closing(open_database(directory.key_database)) as database:
        keys = KeyStore(database, LocalKeyWrapper(directory.wrapping_key()))
        keys.keys_for([(stream, SUBJECT), (stream, ATTRIBUTION)])


def test_a_key_that_was_never_used_is_no_alarm_unless_it_was_altered(copy: DataDirectory) -> None:
    stream = f"case/{uuid4()}"
    mint(copy, stream)
    assert check(copy).verdict is Verdict.VERIFIED
    in_keys(
        copy,
        "UPDATE stream_keys SET key_id = ? WHERE stream = ? AND key_class = 'subject'",
        str(uuid4()),
        stream,
    )
    assert_failed(check(copy), "key store.*does not open", stream=stream)


def put_back(filled: Filled, copy: DataDirectory) -> None:
    """The destroyed key, as an old copy of the key store has it."""
    in_keys(
        copy, "DELETE FROM stream_keys WHERE stream = ? AND key_class = 'subject'", filled.stream
    )
    in_keys(
        copy,
        "INSERT INTO stream_keys (key_id, stream, key_class, wrapped) VALUES (?, ?, ?, ?)",
        *filled.key,
    )


def test_a_destroyed_key_that_came_back(filled: Filled, copy: DataDirectory) -> None:
    put_back(filled, copy)
    assert_failed(check(copy), "is in the key store again", filled.erasure, filled.stream)


def test_a_destroyed_key_that_came_back_under_another_stream(
    filled: Filled, copy: DataDirectory
) -> None:
    key_id, _, key_class, wrapped = filled.key
    in_keys(
        copy,
        "INSERT INTO stream_keys (key_id, stream, key_class, wrapped) VALUES (?, ?, ?, ?)",
        key_id,
        f"case/{uuid4()}",
        key_class,
        wrapped,
    )
    assert_failed(check(copy), "is in the key store again", filled.erasure)


def test_an_erasure_that_was_not_carried_out(filled: Filled, copy: DataDirectory) -> None:
    put_back(filled, copy)
    in_keys(copy, "UPDATE vault_state SET applied_through = 0")
    assert_failed(check(copy), "not carried out", filled.erasure, filled.stream)


def test_an_erasure_that_was_carried_out_but_not_noted(copy: DataDirectory) -> None:
    in_keys(copy, "UPDATE vault_state SET applied_through = 0")
    report = check(copy)
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert [line for line in report.not_assessed if "has not noted" in line]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE vault_state SET applied_through = 100000", "rolled back"),
        ("UPDATE vault_state SET applied_through = -1", "key store"),
        ("DELETE FROM vault_state", "key store.*state"),
        ("DROP TABLE vault_state", "key store (cannot be read|lacks the table)"),
        ("DROP TABLE stream_keys", "key store (cannot be read|lacks the table)"),
    ],
)
def test_the_key_stores_own_state(copy: DataDirectory, sql: str, words: str) -> None:
    in_keys(copy, sql)
    report = check(copy)
    assert_failed(report, words)
    assert report.failure_count < 10


def test_an_erased_row_sealed_again_under_the_streams_new_key(
    filled: Filled, copy: DataDirectory
) -> None:
    """By someone who kept what was erased and has the vault: it opens, but may not be there."""
    (row,) = [r for r in sealed_at(copy, filled.later) if r.key_class == SUBJECT]
    forged = SealedRow(filled.first, SUBJECT, row.key_id, b"")
    put_sealed(copy, sealed_anew(copy, forged, filled.disclosures))
    assert_failed(check(copy), "an erasure covers", filled.first, filled.stream)


@pytest.mark.parametrize("kept", [slice(1, None), slice(0, 0), slice(0, -1)])
def test_a_row_sealed_again_with_fewer_fields(
    filled: Filled, copy: DataDirectory, kept: slice
) -> None:
    (row,) = sealed_at(copy, filled.other_at)
    put_sealed(copy, sealed_anew(copy, row, opened(copy, row)[kept]))
    assert_failed(check(copy), "not those it committed to", filled.other_at, filled.other)


def test_beside_erased_fields_the_others_must_be_whole(filled: Filled, copy: DataDirectory) -> None:
    (row,) = sealed_at(copy, filled.first + 1)
    assert row.key_class == ATTRIBUTION
    put_sealed(copy, sealed_anew(copy, row, opened(copy, row)[:-1]))
    assert_failed(check(copy), "not the attribution fields", filled.first + 1, filled.stream)


def test_fields_moved_between_the_classes(tmp_path: Path) -> None:
    """So that they would outlive the person's erasure."""
    filled = fill(tmp_path / "whole")
    copy = filled.directory

    async def disclose() -> int:
        async with Ledger.open(copy.path) as ledger:
            stream = StreamRef.parse(filled.other)
            (recorded,) = await ledger.record(ANY, [act("data.disclosed", stream)])
            return recorded.position

    position = asyncio.run(disclose())
    attribution, subject = sealed_at(copy, position)
    moved, *rest = opened(copy, subject)
    put_sealed(copy, sealed_anew(copy, subject, rest))
    put_sealed(copy, sealed_anew(copy, attribution, [*opened(copy, attribution), moved]))
    assert_failed(check(copy), "fields of its registration", position, filled.other)


def test_an_erasure_that_commits_meanwhile_is_no_alarm(filled: Filled, copy: DataDirectory) -> None:
    done: list[int] = []

    def erase() -> None:
        # Another ledger's configuration names the databases; a copy's is in its directory.
        text = (copy.path / "ledger.toml").read_text()
        for name, old, new in (
            ("database", filled.directory.database, copy.database),
            ("key_database", filled.directory.key_database, copy.key_database),
        ):
            text = text.replace(f'{name} = "{old}"', f'{name} = "{new}"')
        (copy.path / "ledger.toml").write_text(text)

        async def record() -> None:
            async with Ledger.open(copy.path) as ledger:
                event = act("erasure.executed", StreamRef.parse(filled.other))
                (recorded,) = await ledger.record(DPO, [event])
                done.append(recorded.position)

        asyncio.run(record())

    def progress(_: int, __: int) -> None:
        if not done:
            erase()

    report = check(copy, progress=progress)
    # What it froze comes first.
    assert done == [filled.size + 1]
    assert report.verdict is Verdict.VERIFIED, report.failures
    assert [line for line in report.not_assessed if "erased while" in line]
    again = check(copy)
    assert again.verdict is Verdict.VERIFIED, again.failures


def spoil_key(path: Path) -> None:
    origin = MLDSA44Cosigner.parse(path.read_text().strip()).key.name
    path.write_text(MLDSA44Cosigner.generate(origin).private_text + "\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "signing keys cannot be read"),
        (lambda path: path.write_text("junk"), "signing keys cannot be read"),
        (spoil_key, "signing key.*entry 0"),
    ],
    ids=["missing", "junk", "another"],
)
def test_signing_keys(copy: DataDirectory, spoil: Callable[[Path], None], words: str) -> None:
    spoil(copy.keys_path / "log-mldsa44.key")
    assert_failed(check(copy), words)


def test_signing_keys_are_held_against_the_policy_too(copy: DataDirectory, tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    lines = (copy.path / "policy").read_text().splitlines(keepends=True)
    policy.write_text("".join(lines[:1] + lines[2:]))
    assert_failed(check(copy, policy), "signing key.*policy")


def backdated(directory: DataDirectory, seconds: int) -> None:
    """The newest publication, signed again with the log's keys as of an earlier time."""
    keys = directory.signing_keys()
    with closing(open_store(directory.database)) as store:
        (*_, (seq, size, raw)) = store.publications()
        at = seconds_of(store.last_published()) - seconds
    checkpoint = Checkpoint.parse(Note.parse(raw).text)
    lines = (
        keys.ed25519.sign(checkpoint.text),
        keys.mldsa44.cosign(checkpoint, int(at)),
    )
    in_store(
        directory,
        "UPDATE publications SET checkpoint = ?, published_at = ? WHERE seq = ? AND size = ?",
        Note(checkpoint.text, lines).encode(),
        # Half a millisecond, lest a fraction be lost on the way.
        instant(at + 0.0005),
        seq,
        size,
    )


def test_a_publication_that_was_dated_back(copy: DataDirectory) -> None:
    backdated(copy, 0)
    assert check(copy).verdict is Verdict.VERIFIED
    backdated(copy, 3600)
    assert_failed(check(copy), "publication [0-9]+: is stored under an earlier time")


def test_a_clock_that_goes_back_dates_no_publication_back(sqlite_directory: DataDirectory) -> None:
    with closing(open_store(sqlite_directory.database)) as store:
        head = store.head()
        assert head is not None
        before = store.last_published()
        clock = Clock(lambda: 1_000_000.0, lambda: 0.0)
        publisher = Publisher(store, sqlite_directory.signing_keys(), clock, 1.0)
        publisher.publish(head)
        assert store.last_published() == before
    report = check(sqlite_directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


def test_a_wrong_wrapping_key(filled: Filled, copy: DataDirectory) -> None:
    (copy.keys_path / "wrapping.key").write_text("00" * 32)
    assert_failed(check(copy), "does not open", filled.other_at, filled.other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE wrapping_keys SET ref = '5dd4a2a3-0b6b-4b0e-9a43-3a4a3b1f7c11'", "does not open"),
        ("UPDATE wrapping_keys SET keeper = 'vault'", "keys cannot be unwrapped"),
        ("UPDATE wrapping_keys SET version = 2", "keys cannot be unwrapped"),
        ("UPDATE wrapping_keys SET ref = 'another'", "list of wrapping keys is damaged"),
        ("DELETE FROM wrapping_keys", "names no wrapping key"),
        ("DROP TABLE wrapping_keys", "key store (cannot be read|lacks the table)"),
    ],
)
def test_another_list_of_wrapping_keys(copy: DataDirectory, change: str, words: str) -> None:
    in_keys(copy, change)
    assert_failed(check(copy), words)


def test_a_key_that_names_no_wrapping_key(filled: Filled, copy: DataDirectory) -> None:
    for key_id, stream, _, wrapped in key_rows(copy, ""):
        if stream == filled.other:
            assert isinstance(wrapped, bytes | memoryview)
            renamed = bytes(16) + bytes(wrapped)[16:]
            in_keys(copy, "UPDATE stream_keys SET wrapped = ? WHERE key_id = ?", renamed, key_id)
    assert_failed(check(copy), "does not open", filled.other_at, filled.other)


def test_what_fsck_cannot_show_is_said(copy: DataDirectory) -> None:
    told = " ".join(check(copy).not_assessed)
    for words in ("newest publications", "access tokens", "read models"):
        assert words in told
    assert "true source is sealed" not in told


def test_the_key_store_is_not_changed(copy: DataDirectory) -> None:
    before = key_rows(copy, "")
    check(copy)
    assert key_rows(copy, "") == before
