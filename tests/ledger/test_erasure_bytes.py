"""The bytes on the disk, before and after an erasure.

What is searched: on SQLite, every byte of every file below the data directory (tables, free pages,
write-ahead logs, read models, keys, a copy of the log made as a bundle). On PostgreSQL, that, and
every byte of every file below the server's own data directory (tables and indexes, the write-ahead
log, temporary files). There the ciphertexts may stay in freed places, and only their key is looked
for after the erasure: docs/erasure.md says why what stays cannot be read.
"""

import io
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.exports.bundles import write_log_bundle
from ledger.searching import search
from ledger.store import open_store
from ledger.submission import Submission
from ledger_verifier.formats.bundle import BundleReader
from tests.ledger.acts import act, credential, identified
from tests.ledger.copies import key_rows

ANY = credential()
DPO = credential(Role.DPO)
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
#: Of what the examples say of the person: in no file at any time.
PLAIN = [
    b"Example Person",
    b"Fictional:",
    b"1 Example Street",
    b"2011-02-03",
    b'"age_band","',
    b'"ethnicity","',
    b'"subject_category",["',
]


def directories(directory: DataDirectory) -> list[Path]:
    """Everything that is searched; what PostgreSQL holds in memory is on its disk then."""
    if directory.embedded:
        return [directory.path]
    with closing(psycopg.connect(directory.database, autocommit=True)) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    return [directory.path, Path(row[0])]


def found(directory: DataDirectory, stretches: list[bytes]) -> set[int]:
    """Indexes of the stretches that are in some byte of some file."""
    return set().union(*(search(path, stretches) for path in directories(directory)))


def stored_of(directory: DataDirectory, person: Submission) -> tuple[list[bytes], list[bytes]]:
    """The wrapped subject key of a stream, and stretches all along its ciphertexts: a page boundary
    may split any of them."""
    (key,) = key_rows(directory, "WHERE stream = ? AND key_class = 'subject'", person.stream.text)
    assert isinstance(key[3], bytes)
    with closing(open_store(directory.database)) as store:
        positions = [one.position for one in store.stream(person.stream.text)]
        rows = [row.ciphertext for row in store.sealed(positions) if row.key_class == "subject"]
    return [key[3]], [raw[at : at + 32] for raw in rows for at in range(0, len(raw) - 32, 64)]


async def disclosed(ledger: Ledger, person: Submission) -> list[bytes]:
    """The disclosures of a stream, as they are given out and as they are encrypted; where a page
    ends in one it is found by a part of it."""
    raw = await ledger.bundle(DPO, person.stream, actor=ACTOR, purpose="review")
    reader = BundleReader(io.BytesIO(raw))
    names = [name for name in reader.names if name.startswith("disclosures/")]
    texts = [text for name in names for text in reader.read(name).split()]
    assert len(texts) > 20
    return [text[:40] for text in texts]


@pytest.mark.parametrize("scope", ["stream", "entries"])
async def test_what_was_erased_is_in_no_byte(searched_directory: DataDirectory, scope: str) -> None:
    directory = searched_directory
    person = identified()
    shared = act("data.disclosed", person.stream)
    async with Ledger.open(directory.path) as ledger:
        await ledger.record(ANY, [person, shared])
        await ledger.case(DPO, person.stream.id, ACTOR, None)
        key, ciphertexts = stored_of(directory, person)
        texts = await disclosed(ledger, person)
        assert found(directory, texts) == set()
        # So that the test can fail: most stretches are found where they are now, whole.
        before = found(directory, [*key, *ciphertexts])
        assert 0 in before
        assert len(before) > 0.9 * len(ciphertexts)
        erasure = act("erasure.executed", person.stream)
        if scope == "entries":
            erasure.data.update(scope="entries", erased_events=[person.id])
        await ledger.record(DPO, [erasure])
        await ledger.erasures_verified()
        with closing(open_store(directory.database)) as store:
            write_log_bundle(store, directory.path / "export.zip")
        left = found(directory, key + (ciphertexts if directory.embedded else []))
        assert left == set()
        assert found(directory, [*PLAIN, *texts]) == set()
    # Nor after the service has stopped, and the write-ahead logs were tidied up.
    left = found(directory, key + (ciphertexts if directory.embedded else []))
    assert left == set()
