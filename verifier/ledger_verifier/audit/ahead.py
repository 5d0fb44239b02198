"""Reads the bundles of a log in order, and has them hashed and summarised, here or elsewhere.

Guarantees: `Ahead` yields every bundle in the order of the log, each with the hashes of what was
read. A summary is made only under the registrations of all bundles before: when a bundle holds a
registration, whoever consumes the bundles has had all those before it, and it, before the next one
is looked at. With several processes a few bundles wait in memory, never more than MAX_WAITING; a
process that dies costs time and no more, since its bundles are then looked at here.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from ledger_verifier.audit.bulk import Hashes, Summary, hashes_of, summarise
from ledger_verifier.audit.readers import UnreachableError
from ledger_verifier.audit.source import Source
from ledger_verifier.formats.entry import decode
from ledger_verifier.formats.errors import EntryError
from ledger_verifier.formats.tiles import TILE_WIDTH, Tile
from ledger_verifier.meaning.recognise import Recogniser
from ledger_verifier.meaning.schemas import SCHEMA_REGISTERED, Registry

#: Bundles given to each of the other processes at a time, and those that wait to be consumed.
MAX_GIVEN: Final = 2
MAX_WAITING: Final = 24
#: Fewer entries are not worth another process; nor is a log that registers types for ever.
MIN_SHARED: Final = 20_000
MAX_STARTS: Final = 8

_REGISTERED = f'"type":"{SCHEMA_REGISTERED}"}}'.encode()
_Work = tuple[Hashes, Summary | None]


@dataclass(slots=True)
class Bundle:
    """A bundle as read. `absent` counts the bundles in a row that were not there, up to this one.
    `hashes` is None when there are no entries, or some have no bytes."""

    tile: Tile
    served: bytes | None
    entries: list[bytes] | None
    absent: int
    hashes: Hashes | None = None
    summary: Summary | None = None


class Ahead:
    """The bundles of a log of `size` entries from the one at index `first` on. `recogniser` knows
    what the log has registered so far; None when nothing is to be summarised. `registrations` are
    the registering entries so far. Close it after use."""

    def __init__(
        self,
        source: Source,
        size: int,
        first: int,
        recogniser: Recogniser | None,
        registrations: Sequence[tuple[int, bytes]],
        jobs: int = 1,
    ) -> None:
        self._source = source
        self._size = size
        self._first = first
        self._recogniser = recogniser
        self._registrations = registrations
        shared = recogniser is not None and size - TILE_WIDTH * first >= MIN_SHARED
        self._others = jobs - 1 if shared else 0
        self._pool: ProcessPoolExecutor | None = None
        self._known = -1
        self._starts = 0
        self._given = 0
        self._waiting: deque[tuple[Bundle, Future[_Work] | None]] = deque()

    def close(self) -> None:
        """End the other processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __iter__(self) -> Iterator[Bundle]:
        """Raises UnreachableError after the bundles that could be read."""
        for start in range(TILE_WIDTH * self._first, self._size, TILE_WIDTH):
            tile = Tile(None, start // TILE_WIDTH, min(TILE_WIDTH, self._size - start))
            try:
                served = self._source.tile(Tile(0, tile.index, tile.width))
                entries = self._source.bundle(tile)
            except UnreachableError:
                yield from self._finished(0)
                raise
            bundle = Bundle(tile, served, entries, self._source.absent)
            registers = entries is not None and any(e.endswith(_REGISTERED) for e in entries)
            if registers:
                yield from self._finished(0)
            self._waiting.append((bundle, None if registers else self._give(bundle)))
            if self._waiting[-1][1] is None:
                self._look(bundle, summarised=not registers)
            yield from self._finished(0 if registers or not self._others else MAX_WAITING)
        yield from self._finished(0)

    def _finished(self, most: int) -> Iterator[Bundle]:
        """Bundles whose turn it is, leaving at most so many that another process still has."""
        while self._waiting:
            bundle, future = self._waiting[0]
            if future is not None and not future.done() and len(self._waiting) <= most:
                return
            self._waiting.popleft()
            if future is not None:
                self._given -= 1
                try:
                    bundle.hashes, bundle.summary = future.result()
                except BrokenExecutor:
                    self._others = 0
                    self._look(bundle)
            yield bundle

    def _look(self, bundle: Bundle, summarised: bool = True) -> None:
        entries = bundle.entries
        if entries is None or b"" in entries:
            return
        bundle.hashes = hashes_of(entries)
        if self._recogniser is not None and summarised:
            bundle.summary = summarise(bundle.tile.start, entries, self._recogniser)

    def _give(self, bundle: Bundle) -> "Future[_Work] | None":
        """Have another process look at a bundle, if one is free to."""
        entries = bundle.entries
        if entries is None or b"" in entries or self._given >= self._others * MAX_GIVEN:
            return None
        if len(self._registrations) != self._known and not self._start():
            return None
        assert self._pool is not None
        try:
            future = self._pool.submit(_work, bundle.tile.start, entries)
        except BrokenExecutor:
            self._others = 0
            return None
        self._given += 1
        return future

    def _start(self) -> bool:
        """Start processes that know what has been registered so far."""
        if any(future is not None for _, future in self._waiting):
            return False
        self.close()
        self._starts += 1
        if self._starts > MAX_STARTS:
            self._others = 0
            return False
        self._known = len(self._registrations)
        self._pool = ProcessPoolExecutor(
            self._others,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=([raw for _, raw in self._registrations],),
        )
        return True


_here: Recogniser | None = None


def _begin(registrations: Sequence[bytes]) -> None:
    """What a process does first."""
    global _here
    registry = Registry()
    for raw in registrations:
        try:
            entry = decode(raw)
            if entry["type"] == SCHEMA_REGISTERED:
                registry.learn(entry)
        except EntryError:
            # The one who reads the log has reported it.
            continue
    _here = Recogniser(registry)


def _work(start: int, entries: list[bytes]) -> _Work:
    assert _here is not None
    return hashes_of(entries), summarise(start, entries, _here)
