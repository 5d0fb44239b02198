"""Rows of the staff map: nowhere in the clear, bound to whose they are, under keys like others."""

from contextlib import closing

import pytest

from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.errors import IntegrityAlarm, VaultUnavailable
from ledger.fsck import check
from ledger.vault.keepers import open_wrapper
from ledger.vault.keystore import KeyStore
from ledger.vault.rotation import Rotation
from ledger.vault.staffmap import StaffRow, Whose, open_identity, seal_identity
from ledger_verifier.audit.report.model import Verdict
from tests.faults.life import living
from tests.ledger.copies import key_rows
from tests.ledger.test_erasure_bytes import found
from tests.ledger.test_staff import COUNCIL, PERSON, ask, confirm, put_row, register, rows_of

PLAIN = [value.encode() for value in PERSON.values()]


async def test_it_is_in_no_byte_in_the_clear(searched_directory: DataDirectory) -> None:
    directory = searched_directory
    with living(directory) as life:
        reference = await register(life)
        await confirm(life, reference, await ask(life, reference))
        # So that the search can fail: what is open is found.
        row = rows_of(directory)[reference]
        assert found(directory, [reference.encode(), row.sealed[:40]]) == {0, 1}
        assert found(directory, PLAIN) == set()
    assert found(directory, PLAIN) == set()


async def test_a_row_of_somebody_else_does_not_open(sqlite_directory: DataDirectory) -> None:
    with living(sqlite_directory) as life:
        one, other = await register(life), await register(life, name="Another Fictional")
        opening = await ask(life, one)
        rows = rows_of(sqlite_directory)
        put_row(sqlite_directory, one, rows[other])
        with pytest.raises(VaultUnavailable):
            await confirm(life, one, opening)
        # Whoever has the log key as well is found out by what was registered.
        key = life.keys.keys([rows[one].key_id])[rows[one].key_id]
        origin = sqlite_directory.origin
        forged = seal_identity(key, Whose(origin, one, COUNCIL), {**PERSON, "name": "Forged"})
        put_row(sqlite_directory, one, StaffRow(rows[one].key_id, forged))
        with pytest.raises(IntegrityAlarm):
            await confirm(life, one, opening)
        put_row(sqlite_directory, one, rows[one])
        assert await confirm(life, one, opening)


async def test_its_key_is_wrapped_anew_with_all_others(sqlite_directory: DataDirectory) -> None:
    directory = sqlite_directory
    with living(directory) as life:
        reference = await register(life)
    row = rows_of(directory)[reference]
    with closing(open_database(directory.key_database)) as database:
        rotation = Rotation(database, open_wrapper(directory))
        newest, _ = rotation.begin()
        rotation.run(newest, lambda *_: None)
        key = KeyStore(database, open_wrapper(directory)).keys([row.key_id])[row.key_id]
    ((*_, wrapped),) = key_rows(directory, "WHERE key_id = ?", row.key_id)
    assert isinstance(wrapped, bytes)
    assert wrapped.startswith(newest.prefix)
    identity, _ = open_identity(key, Whose(directory.origin, reference, COUNCIL), row.sealed)
    assert identity == PERSON
    report = check(directory)
    assert report.verdict is Verdict.VERIFIED, report.failures


def test_a_key_store_without_it_is_not_served(sqlite_directory: DataDirectory) -> None:
    with closing(open_database(sqlite_directory.key_database)) as database:
        with database.transaction() as rows:
            rows.execute("DROP TABLE staff_map")
        with pytest.raises(VaultUnavailable, match="no whole key store of this version"):
            KeyStore(database, open_wrapper(sqlite_directory)).check_wrapping()
    assert "the key store lacks the table staff_map" in {
        failure.reason for failure in check(sqlite_directory).failures
    }
