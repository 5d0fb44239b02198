"""Searching the files of a directory for stretches of bytes, in a process of its own.

Guarantees: every file below the directory is read whole, and nothing is said but which of the
stretches was met. A process that closes a file of a SQLite database gives up all locks that its
own connections hold on it: no process that uses one may open its files for itself.

Run by `search` as a program of its own, `searching.py DIRECTORY`, with the stretches on standard
input: it imports nothing of the ledger.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

#: Bytes of a file that are looked at together.
CHUNK: Final = 1 << 20
#: Most seconds that a search may take.
PATIENCE: Final = 600.0


def search(directory: Path, stretches: Sequence[bytes]) -> set[int]:
    """Indexes of the stretches that are in some file of a directory. Blocks; raises OSError when
    it could not be found out."""
    try:
        done = subprocess.run(
            # It needs nothing but what comes with Python: finding packages would take longer than
            # most searches.
            [sys.executable, "-I", "-S", __file__, str(directory)],
            input=json.dumps([base64.b64encode(one).decode() for one in stretches]).encode(),
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise OSError("the files could not be searched") from error
    return set(json.loads(done.stdout))


def size_of(directory: Path) -> int:
    """How many bytes there are in the files of a directory."""
    return sum(_size(path) for path in directory.rglob("*"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def found_in(paths: Iterable[Path], stretches: Sequence[bytes]) -> set[int]:
    """Indexes of the stretches that are in some of the files."""
    found: set[int] = set()
    overlap = max(map(len, stretches), default=0)
    for path in paths:
        for chunk in _chunks(path, overlap):
            found.update(
                index
                for index, stretch in enumerate(stretches)
                if index not in found and stretch in chunk
            )
    return found


def _chunks(path: Path, overlap: int) -> Iterable[bytes]:
    """A file in pieces that overlap, so that nothing of that length is missed between two; nothing
    where it has gone meanwhile."""
    try:
        with path.open("rb") as file:
            before = b""
            while piece := file.read(CHUNK):
                whole = before + piece
                yield whole
                before = whole[max(0, len(whole) - overlap) :]
    except FileNotFoundError:
        return


def main(arguments: Sequence[str]) -> int:
    """`DIRECTORY`"""
    stretches = [base64.b64decode(one) for one in json.loads(sys.stdin.read())]
    files = [path for path in sorted(Path(arguments[0]).rglob("*")) if path.is_file()]
    sys.stdout.write(json.dumps(sorted(found_in(files, stretches))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
