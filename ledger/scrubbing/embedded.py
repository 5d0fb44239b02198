"""Scrubbing a SQLite file.

Guarantees: the write-ahead log is said to be empty when it has no bytes; free pages are said to be
overwritten when every one of them was read and held nothing. While a file's pages are read nothing
of this process has the database open: to close any file of a database gives up a process's locks on
it. Format: sqlite.org/fileformat2.html, "The Freelist".
"""

import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from ledger.scrubbing.report import Scrubbed

#: Seconds that readers are given to leave the write-ahead log.
PATIENCE: Final = 5.0
_HEADER: Final = 100
#: How often the free pages are read when the file changes meanwhile.
_ATTEMPTS: Final = 5


def scrub(path: Path, scrubbed: Scrubbed) -> None:
    """Empty the write-ahead log of a database and look at its free pages."""
    # A reader in the way must not hold up whoever writes: no waiting inside SQLite.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0.0)) as connection:
        deadline = time.monotonic() + PATIENCE
        while not (empty := _empty_log(connection)) and time.monotonic() < deadline:
            time.sleep(0.05)
    if empty:
        scrubbed.done.append(f"{path.name}: its write-ahead log is empty")
    else:
        scrubbed.left.append(
            f"{path.name}: something reads it, and its write-ahead log is not empty. Run this again"
        )
    filled = _filled_free_pages(path)
    if filled is None:
        scrubbed.left.append(f"{path.name}: it changes all the time. Run this again")
    elif filled:
        scrubbed.left.append(
            f"{path.name}: {filled} free pages still hold what was deleted: something else than "
            "this ledger has written to it. Stop the service and run VACUUM on it"
        )
    else:
        scrubbed.done.append(f"{path.name}: free pages hold nothing")


def _empty_log(connection: sqlite3.Connection) -> bool:
    try:
        return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        # Somebody writes at this moment.
        return False


def _filled_free_pages(path: Path) -> int | None:
    """How many free pages hold anything; None when they could not be read as of one moment."""
    for _ in range(_ATTEMPTS):
        with path.open("rb") as file:
            before = file.read(_HEADER)
            size = struct.unpack(">H", before[16:18])[0]
            size = 65536 if size == 1 else size

            def page(number: int, size: int = size) -> bytes:
                file.seek((number - 1) * size)
                return file.read(size)

            filled, trunks = 0, list[tuple[int, bytes]]()
            pages, number, left = struct.unpack(">III", before[28:40])
            while number and left > 0 and len(trunks) < left + 1:
                raw = page(number)
                trunks.append((number, raw))
                following, leaves = struct.unpack(">II", raw[:8])
                if leaves > size // 4:
                    break
                # Where a leaf was listed its number may stay, and that is all.
                rest = struct.iter_unpack(">I", raw[8 + 4 * leaves :])
                filled += any(word > pages for (word,) in rest)
                for (leaf,) in struct.iter_unpack(">I", raw[8 : 8 + 4 * leaves]):
                    filled += any(page(leaf))
                number, left = following, left - 1 - leaves
            file.seek(0)
            same = file.read(_HEADER) == before and all(page(n) == raw for n, raw in trunks)
        if same and left == 0:
            return filled
    return None
