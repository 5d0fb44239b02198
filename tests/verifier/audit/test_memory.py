"""The engine's memory grows with the streams, not with the entries."""

import tracemalloc

from ledger_verifier.audit.engine import verify_log
from ledger_verifier.audit.report.model import Verdict
from ledger_verifier.formats.tiles import Tile, decode_entries

from .world import World, policy


class Reader:
    """Members held in memory, decoded when they are asked for."""

    live = False

    def __init__(self, members: dict[str, bytes]) -> None:
        self._members = members

    def checkpoint(self) -> bytes:
        return self._members["checkpoint"]

    def tile(self, tile: Tile) -> bytes:
        return self._members[tile.path]

    def entries(self, tile: Tile) -> list[bytes]:
        return decode_entries(self._members[tile.path], tile.width)


def peak(size: int) -> int:
    reader = Reader(World(seed=6).fill(size, streams=30).members())
    verify_log(reader, policy())
    tracemalloc.start()
    report = verify_log(reader, policy())
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.verdict is Verdict.VERIFIED
    return highest


def test_eight_times_the_entries_take_no_more_memory() -> None:
    assert peak(8 * 768) < 1.2 * peak(768)
