"""Entries that have no bytes, held against the entries of the log that say so.

An entry without bytes is met before the one that explains it, so everything is settled at the end.

Guarantees: an entry without bytes is explained only by an accepted `stream.expired` after it; none
is explained twice; one that is said to be gone and is there is found. Memory is at most two bits
for each position of the log, however many entries explain them and whatever these say: what an
entry says of positions that do not come before it, or that another has spoken for, is not taken in.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from ledger_verifier.audit.report.model import MAX_FAILURES, Failure, Findings
from ledger_verifier.meaning.expiry import Span, spans_of

_BITS: Final = 12
_BLOCK: Final = 1 << _BITS
_FULL: Final = (1 << _BLOCK) - 1
ABSENT: Final = "absent without an entry that explains it"
STILL_THERE: Final = "its bytes are there, and an entry of the log says that they have expired"
#: Spans of entries that are wrong of which each is reported.
_MAX_SPANS: Final = 100_000


class Positions:
    """A set of positions, as bits in blocks."""

    def __init__(self) -> None:
        self.blocks: dict[int, int] = {}

    def add(self, first: int, last: int) -> None:
        """Take in the positions of a span."""
        for block, mask in _masks(first, last):
            self.blocks[block] = self.blocks.get(block, 0) | mask

    def meets(self, first: int, last: int) -> bool:
        """Whether any position of a span is in the set."""
        return any(self.blocks.get(block, 0) & mask for block, mask in _masks(first, last))


class Expiries:
    """Positions without bytes and positions said to be without, as far as the log was read."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._absent, self._claimed = Positions(), Positions()
        # What looks broken after an entry without bytes was met, until it is known why that is.
        self._suspects: list[tuple[Failure, str]] = []
        self._more_suspects = 0

    @property
    def expired(self) -> int:
        """How many entries without bytes are explained."""
        claimed = self._claimed.blocks
        return sum((m & claimed.get(b, 0)).bit_count() for b, m in self._absent.blocks.items())

    @property
    def unexplained(self) -> int:
        """How many are not."""
        return sum(map(int.bit_count, self._absent.blocks.values())) - self.expired

    def absent(self, position: int) -> None:
        """An entry has no bytes."""
        self._absent.add(position, position)

    def learn(self, position: int, data: Mapping[str, Any]) -> str | None:
        """Take in the data of an accepted `stream.expired` at this position; returns what is wrong
        with it, if anything. What is wrong is not taken in."""
        spans = spans_of(data)
        if data["order"] >= position:
            return "data.order: not a position before this entry"
        if spans[-1][1] >= position:
            return "data.spans: an entry that comes after this one cannot have expired"
        if any(self._claimed.meets(*span) for span in spans):
            return "data.spans: an entry has expired already, as another entry of the log says"
        for span in spans:
            self._claimed.add(*span)
        return None

    def missing(self) -> Iterator[Span]:
        """Spans without bytes that nothing explains, in ascending order."""
        return _spans(self._absent.blocks, self._claimed.blocks)

    def still_there(self, since: int = 0) -> Iterator[Span]:
        """Spans from that position on that are said to have expired and have bytes."""
        for first, last in _spans(self._claimed.blocks, self._absent.blocks):
            if last >= since:
                yield max(first, since), last

    def suspect(self, failure: Failure, source: str) -> None:
        """A break in a stream. After an entry without bytes it may be the consequence of that."""
        if not self._absent.blocks:
            self._findings.fail(failure, source=source)
        elif len(self._suspects) < MAX_FAILURES:
            self._suspects.append((failure, source))
        else:
            self._more_suspects += 1

    def settle(self, since: int = 0, *, whole: bool = True) -> None:
        """After the last entry: hold the entries without bytes against those that explain them.
        Entries from `since` on were read, all of them if `whole`."""
        findings, unexplained = self._findings, self.unexplained
        findings.counts["expired"] += self.expired
        findings.counts["absent"] += unexplained
        if not whole:
            if unexplained:
                findings.lack(
                    f"{unexplained} entries have no bytes, and what may explain that was not read"
                )
            return
        wrong = [(ABSENT, span) for span in islice(self.missing(), _MAX_SPANS)]
        wrong += [(STILL_THERE, span) for span in islice(self.still_there(since), _MAX_SPANS)]
        for reason, (first, last) in wrong:
            self._fail_each(reason, first, last)
        if not wrong:
            for failure, source in self._suspects:
                findings.fail(failure, source=source)
            if self._more_suspects:
                more = Failure(f"{self._more_suspects} further breaks in streams")
                findings.fail(more, source="chains", times=self._more_suspects)

    def _fail_each(self, reason: str, first: int, last: int) -> None:
        """One failure for each of these positions, as far as failures are listed."""
        listed = min(last, first + MAX_FAILURES - 1)
        for position in range(first, listed + 1):
            self._findings.fail(Failure(reason, position), source="expiry")
        if listed < last:
            rest = Failure(reason, listed + 1, last=last)
            self._findings.fail(rest, source="expiry", times=last - listed)


def _masks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The bits of a span, block by block."""
    for block in range(first >> _BITS, (last >> _BITS) + 1):
        low = max(first - (block << _BITS), 0)
        high = min(last - (block << _BITS), _BLOCK - 1)
        yield block, ((1 << (high - low + 1)) - 1) << low


def _spans(wanted: Mapping[int, int], without: Mapping[int, int]) -> Iterator[Span]:
    """Spans of the positions that are wanted, without others."""
    open_at: int | None = None
    end = -1
    for block in sorted(wanted):
        left = wanted[block] & ~without.get(block, 0)
        for low, high in _runs(left):
            first, last = (block << _BITS) + low, (block << _BITS) + high
            if open_at is not None and first == end + 1:
                end = last
                continue
            if open_at is not None:
                yield open_at, end
            open_at, end = first, last
    if open_at is not None:
        yield open_at, end


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """First and last place of every run of ones."""
    place = 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        inverted = ~bits & (_FULL << 1 | 1)
        ones = (inverted & -inverted).bit_length() - 1
        yield place + zeros, place + zeros + ones - 1
        bits >>= ones
        place += zeros + ones
