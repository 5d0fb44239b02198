"""What an attack is, what it means that one was caught and located, and how all are run.

Caught: the verdict is FAILED; an exception, or any other verdict, is not. Located: the first
failure of the report names what was attacked, as `Expected` has it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from ledger_verifier.audit.report.model import Failure, Report, Verdict

_RANGE = re.compile(r"among the entries (\d+) to (\d+) at least one was changed")
_CONTRADICTED = re.compile(r"the first (\d+) entries are not those of")
_AFTER = re.compile(r"the first (\d+) are those of")


@dataclass(frozen=True, slots=True)
class Expected:
    """What the first failure has to name.

    `at` is the position attacked. With `narrowed` it is enough to name it together with others:
    as the entry that the one at fault should follow, within one tile of 256 entries, or between
    two checkpoints of which the smaller is confirmed and the larger contradicted; or to name
    `then`, the entry that came next in the stream, which is where an entry is missed. `tile` is a
    tile's path, `words` a pattern that the reason has to match: the kind of row, the number of a
    publication, the earlier checkpoint that is contradicted. With `alone` nothing else may be
    wrong: the forger left no other trace.
    """

    at: int | None = None
    narrowed: bool = False
    then: int | None = None
    tile: str | None = None
    words: str = ""
    alone: bool = False

    def __post_init__(self) -> None:
        if self.at is None and self.tile is None and not self.words:
            raise ValueError("what names nothing would take any failure for the right one")


class Stage(Protocol):
    """A ledger, or what was got from one, that an attack may change."""

    def report(self) -> Report:
        """What the verifier says of it as it is now."""


class Target(Protocol):
    """Something that can be attacked again and again, each time as if it were untouched."""

    name: str

    def stage(self) -> AbstractContextManager[Any]: ...


Play = Callable[[Any, Random], Expected]


@dataclass(frozen=True, slots=True)
class Attack:
    """A kind of attack; `play` makes one instance of it on a stage."""

    kind: str
    play: Play


class Attacks(list[Attack]):
    """The attacks on one sort of target."""

    def kind(self, name: str) -> Callable[[Play], Play]:
        """Decorates a function that makes one instance of a kind."""

        def add(play: Play) -> Play:
            self.append(Attack(name, play))
            return play

        return add


#: Called after each instance.
Done = Callable[[], None]


def _ignore() -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class Row:
    """A line of the table: of an attack, or of a control, which is to be found clean."""

    kind: str
    against: str
    instances: int = 0
    caught: int = 0
    located: int = 0
    clean: int = 0
    example: str = ""
    misses: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all went as it should: caught and located every time, or found clean."""
        return self.instances > 0 and (
            self.clean == self.instances
            or (self.clean == 0 and self.caught == self.located == self.instances)
        )


Control = Callable[[Any, Random], None]


def run_control(
    name: str, control: Control, target: Target, instances: int, seed: int, done: Done = _ignore
) -> Row:
    """Do something that is no attack, and count the instances that are found to be VERIFIED."""
    row = Row(name, target.name)
    for number in range(instances):
        row.instances += 1
        with target.stage() as stage:
            control(stage, Random(f"{seed}/{name}/{target.name}/{number}"))
            report = stage.report()
        row.clean += report.verdict is Verdict.VERIFIED
        if report.verdict is not Verdict.VERIFIED:
            row.misses.append(f"{name}: {report.verdict}: {report.failures[:3]}")
        done()
    return row


def run(attack: Attack, target: Target, instances: int, seed: int, done: Done = _ignore) -> Row:
    """Make this many instances of a kind of attack, each on an untouched stage."""
    row = Row(attack.kind, target.name)
    for number in range(instances):
        name = f"{seed}/{attack.kind}/{target.name}/{number}"
        row.instances += 1
        with target.stage() as stage:
            expected = attack.play(stage, Random(name))
            try:
                report = stage.report()
            except Exception as error:  # noqa: BLE001 - whatever is raised is what went wrong
                row.misses.append(f"{name}: {type(error).__name__}: {error}")
                continue
            finally:
                done()
        row.caught += report.verdict is Verdict.FAILED
        if report.verdict is Verdict.FAILED and located(report, expected):
            row.located += 1
            row.example = row.example or message(report.failures[0])
        else:
            found = [message(failure) for failure in report.failures[:3]] or report.lacking
            row.misses.append(f"{name}: {report.verdict}: expected {expected}, found {found}")
    return row


def located(report: Report, expected: Expected) -> bool:
    """Whether the first failure names what was attacked."""
    first = report.failures[0]
    if not re.search(expected.words, first.reason):
        return False
    if expected.tile is not None and first.tile != expected.tile:
        return False
    if expected.alone and report.failure_count != 1:
        return False
    if expected.at is None or first.position == expected.at:
        return True
    return expected.narrowed and any(_narrowed(first, expected))


def _narrowed(first: Failure, expected: Expected) -> Iterator[bool]:
    assert expected.at is not None
    yield first.follows == expected.at
    yield expected.then is not None and first.position == expected.then
    found = _RANGE.search(first.reason)
    if found is not None:
        yield int(found[2]) - int(found[1]) < 256 and int(found[1]) <= expected.at <= int(found[2])
    contradicted, after = _CONTRADICTED.search(first.reason), _AFTER.search(first.reason)
    if contradicted is not None or after is not None:
        begin = 0 if after is None else int(after[1])
        end = expected.at + 1 if contradicted is None else int(contradicted[1])
        yield begin <= expected.at < end


def message(failure: Failure) -> str:
    """A failure in one line."""
    place = ""
    if failure.position is not None:
        place = f"position {failure.position}: "
    elif failure.tile is not None:
        place = f"{failure.tile}: "
    return place + failure.reason
