"""A filled ledger that can be copied, on either database, so that a test may spoil its copy."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import psycopg

from ledger.access import Role
from ledger.application import Ledger
from ledger.config import DataDirectory
from ledger.database import is_postgres_url, open_database
from ledger.initialise import initialise
from ledger.store import open_store
from ledger.store.records import SealedRow
from ledger.vault.keystore import KeyStore
from ledger.vault.sealing import associated_data, open_sealed, seal
from ledger.vault.wrapper import LocalKeyWrapper
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import StreamRef, decode
from tests.ledger.acts import act, credential, identified

T = TypeVar("T")

ANY = credential()
DPO = credential(Role.DPO)


@dataclass(frozen=True)
class Filled:
    """A ledger with an erased stream: where its entries are, and what was erased."""

    directory: DataDirectory
    stream: str
    #: Of the erased stream: its first entry, its erasure, and an entry recorded after that.
    first: int
    erasure: int
    later: int
    #: What the first entry had sealed, and the row of the key store that was destroyed.
    disclosures: list[Disclosure]
    key: tuple[object, ...]
    #: A stream of one entry, and where that is.
    other: str
    other_at: int
    size: int


def fill(path: Path, database: str | None = None, key_database: str | None = None) -> Filled:
    """Make a small ledger with an erasure."""
    directory = initialise(path, database=database, key_database=key_database, publish_seconds=0.05)
    return asyncio.run(_fill(directory))


async def _fill(directory: DataDirectory) -> Filled:
    stream, other = (StreamRef("case", str(uuid4())) for _ in range(2))
    async with Ledger.open(directory.path) as ledger:
        first, *_ = await ledger.record(
            ANY,
            [
                identified(stream),
                act("data.disclosed", stream),
                act("disclosure.acknowledged", stream),
            ],
        )
        (row,) = sealed_at(directory, first.position)
        disclosures = opened(directory, row)
        (key,) = key_rows(directory, "WHERE key_id = ?", row.key_id)
        (erasure,) = await ledger.record(DPO, [act("erasure.executed", stream)])
        await ledger.erasures_verified()
        (later,) = await ledger.record(ANY, [act("case.closed", stream)])
        (other_entry, *_) = await ledger.record(
            ANY, [identified(other), *(identified() for _ in range(8))]
        )
        await ledger.checkpoint()
        size = int((await ledger.status())["tree_size"])
    return Filled(
        directory,
        stream.text,
        first.position,
        erasure.position,
        later.position,
        disclosures,
        key,
        other.text,
        other_entry.position,
        size,
    )


def copied(filled: Filled, path: Path) -> DataDirectory:
    """A copy of its data directory, and of its databases."""
    directory = filled.directory
    shutil.copytree(directory.path, path)

    def place(location: str) -> str:
        if not is_postgres_url(location):
            return str(path / Path(location).relative_to(directory.path))
        name = f"t{uuid4().hex}"
        old = str(psycopg.conninfo.conninfo_to_dict(location)["dbname"])
        server = location.replace(f"/{old}?", "/postgres?")
        with closing(psycopg.connect(server, autocommit=True)) as connection:
            command = f'CREATE DATABASE "{name}" TEMPLATE "{old}" STRATEGY FILE_COPY'
            connection.execute(command.encode())
        return location.replace(f"/{old}?", f"/{name}?")

    return replace(
        directory,
        path=path,
        database=place(directory.database),
        key_database=place(directory.key_database),
    )


def in_keys(directory: DataDirectory, sql: str, *values: object) -> None:
    """Run a statement on the key store."""
    with closing(open_database(directory.key_database)) as database, database.transaction() as rows:
        rows.execute(sql, values)


def in_store(directory: DataDirectory, sql: str, *values: object) -> None:
    """Run a statement on the event store; `{p}` stands for the position of an entry."""
    with closing(open_store(directory.database)) as store, store._write() as rows:
        rows.execute(sql.replace("{p}", f"({store.position_sql})"), values)


def key_rows(directory: DataDirectory, where: str, *values: object) -> list[tuple[object, ...]]:
    with closing(open_database(directory.key_database)) as database, database.transaction() as rows:
        rows.execute(
            f"SELECT key_id, stream, key_class, wrapped FROM stream_keys {where} ORDER BY key_id",
            values,
        )
        return rows.fetchall()


def sealed_at(directory: DataDirectory, position: int) -> list[SealedRow]:
    with closing(open_store(directory.database)) as store:
        return store.sealed([position])


def opened(directory: DataDirectory, row: SealedRow) -> list[Disclosure]:
    """What a sealed row holds."""
    return _with_key(directory, row, lambda key, bound: open_sealed(key, bound, row.ciphertext))


def sealed_anew(
    directory: DataDirectory, row: SealedRow, disclosures: list[Disclosure]
) -> SealedRow:
    """A row that holds something else, under the key it names."""
    raw = _with_key(directory, row, lambda key, bound: seal(key, bound, disclosures))
    return replace(row, ciphertext=raw)


def _with_key(directory: DataDirectory, row: SealedRow, act_on: Callable[[bytes, bytes], T]) -> T:
    with (
        closing(open_store(directory.database)) as store,
        closing(open_database(directory.key_database)) as database,
    ):
        raw = store.entry(row.position)
        key = KeyStore(database, LocalKeyWrapper(directory.wrapping_key())).keys([row.key_id])
    assert raw is not None
    entry = decode(raw)
    stream = f"{entry['stream']['kind']}/{entry['stream']['id']}"
    return act_on(
        key[row.key_id],
        associated_data(directory.origin, entry["source"], entry["id"], stream, row.key_class),
    )
