"""Attacks by somebody who holds everything: an entry that may not be, and the whole log rewritten
around it and signed by the real key. Nothing contradicts it but what it is."""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

import orjson

from ledger_verifier.formats.disclosure import b64url
from ledger_verifier.formats.entry import canonical, link_hash
from tests.tamper import forge
from tests.tamper.forge import Entry
from tests.tamper.matrix import Attacks, Expected
from tests.tamper.subject import Subject

ATTACKS = Attacks()


class Forgeable(Protocol):
    """A log that can be made anew as a whole."""

    subject: Subject

    def forge(self, entries: list[bytes]) -> None: ...


def _ordinary(values: list[Entry], random: Random) -> int:
    """The position of an entry that a client recorded."""
    return random.choice([n for n, e in enumerate(values) if e["stream"]["kind"] != "ledger"])


def _float(entry: Entry, random: Random) -> bytes:
    changed = {**entry, "data": {**entry["data"], "weight": random.randrange(1, 99) + 0.5}}
    return orjson.dumps(changed, option=orjson.OPT_SORT_KEYS)


def _twice(entry: Entry, random: Random) -> bytes:
    name = random.choice(["id", "source", "type", "hub"])
    member = orjson.dumps({name: entry[name]})[1:-1]
    return b"{" + member + b"," + canonical(entry)[1:]


def _decomposed(entry: Entry, random: Random) -> bytes:
    changed = {**entry, "data": {**entry["data"], "note": f"e\u0301 {random.randrange(99)}"}}
    return orjson.dumps(changed, option=orjson.OPT_SORT_KEYS)


def _spaced(entry: Entry, random: Random) -> bytes:
    return canonical(entry).replace(b":", b": ", random.randrange(1, 9))


@ATTACKS.kind("a duplicate key, a float, an unnormalised string or a space: all signed")
def malformed(log: Forgeable, random: Random) -> Expected:
    values = log.subject.values
    at = _ordinary(values, random)
    raw = random.choice([_float, _twice, _decomposed, _spaced])(values[at], random)
    then = forge.next_in_stream(values, at)
    log.forge(_around(values, at, raw, then))
    return Expected(at)


def _around(values: list[Entry], at: int, raw: bytes, then: int | None) -> list[bytes]:
    """The log with other bytes at a position, chained as if they were an entry."""
    before = canonical(values[at])
    entries = [canonical(entry) for entry in values]
    entries[at] = raw
    old, new, place = link_hash(before), link_hash(raw), then
    while place is not None:
        changed = entries[place].replace(old.hex().encode(), new.hex().encode())
        old, new = link_hash(entries[place]), link_hash(changed)
        entries[place] = changed
        place = forge.next_in_stream(values, place)
    return entries


def _text(entry: Entry, random: Random) -> None:
    """A name where the registration has a code, or no field at all."""
    names = [name for name, value in entry["data"].items() if isinstance(value, str)]
    entry["data"][random.choice([*names, "name"])] = "Example Person"


def _unregistered(entry: Entry, random: Random) -> None:
    if random.random() < 0.5:
        entry["type"] = random.choice(["person.listed", "case.ranked"])
    else:
        entry["schema"] += random.randrange(1, 9)


def _unsealed(entry: Entry, random: Random) -> None:
    """A sealed field too many or too few."""
    digests = entry["data"]["_sd"]
    if random.random() < 0.5:
        digests.append(b64url(random.randbytes(32)))
        digests.sort()
    elif digests:
        digests.pop(random.randrange(len(digests)))
    else:
        entry["data"]["name"] = "Example Person"


@ATTACKS.kind("a name in the open, an unregistered type, a sealed field too many: all signed")
def not_allowed(log: Forgeable, random: Random) -> Expected:
    values = log.subject.values
    at = _ordinary(values, random)
    edit: Callable[[Any, Random], None] = random.choice([_text, _unregistered, _unsealed])
    edit(values[at], random)
    log.forge(forge.rechained(values))
    return Expected(at)


@ATTACKS.kind("an entry dated before the one before it, everything rewritten and signed")
def backdated(log: Forgeable, random: Random) -> Expected:
    values = log.subject.values
    at = random.randrange(1, len(values))
    years = random.randrange(1, 9)
    # Both, for an act is not recorded before it happened.
    for member in ("occurred_at", "recorded_at"):
        said = values[at][member]
        values[at][member] = f"{int(said[:4]) - years}{said[4:]}"
    log.forge(forge.rechained(values))
    return Expected(at, words="^recorded_at is before")
