"""What somebody learns who knows one event of a child's life: `python -m demo.linking`.

A simulated hub's year of 100 people. Somebody knows of one event that it was recorded: which hub,
what kind of event, which day. Counted is how many streams such an event fits, and what else the
*open* parts of the entries would tell about the stream it is in, to whoever may read them. What is
sealed, and who it is about, they do not tell. The public has hash tiles, checkpoints and receipts:
with those alone nothing fits, because every leaf hash covers 128 random bits.

The year is the same every time; docs/privacy.md holds what this prints.
"""

import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from demo.simulate import events
from ledger.catalogue import CATALOGUE
from ledger.intake import occurred_at

SEED: Final = 20_200_401
#: Kinds of stream that are about a person.
KINDS: Final = ("case", "content", "party", "restricted")

Event = dict[str, Any]
Known = tuple[str, str, str]


def streams_by_event(year: Iterable[Event]) -> tuple[dict[Known, set[str]], dict[str, list[Event]]]:
    """Streams that each (hub, type, day) occurs in, and the events of each stream."""
    fitting: dict[Known, set[str]] = defaultdict(set)
    lives: dict[str, list[Event]] = defaultdict(list)
    for event in year:
        kind = event["subject"].partition("/")[0]
        if kind in KINDS:
            fitting[known(event)].add(event["subject"])
            lives[event["subject"]].append(event)
    return fitting, lives


def known(event: Event) -> Known:
    """What is known of an event: its hub, its type, its day in London."""
    event_type = CATALOGUE.get(event["type"])
    assert event_type is not None
    return event["hub"], event["type"], occurred_at(event_type, event["time"])[:10]


def open_values(event: Event) -> int:
    """How many open fields with a value an event's entry has."""
    event_type = CATALOGUE.get(event["type"])
    assert event_type is not None
    return sum(event["data"].get(name) is not None for name in event_type.open)


def table(year: Iterable[Event]) -> str:
    """The figures, as a table in Markdown."""
    fitting, lives = streams_by_event(year)
    rows = [
        "| of an event known by hub, type and day, in a stream of this kind | events "
        "| fits 1 stream | 2 to 4 | 5 or more | other entries then seen (median) "
        "| open values in them (median) |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in ("case", "content"):
        found = [e for life in lives.values() for e in life if e["subject"].startswith(kind)]
        fits = [len(fitting[known(event)]) for event in found]
        alone = [e for e, fit in zip(found, fits, strict=True) if fit == 1]
        others = [[o for o in lives[e["subject"]] if o is not e] for e in alone]
        bands = [
            sum(fit == 1 for fit in fits),
            sum(2 <= fit <= 4 for fit in fits),
            sum(fit >= 5 for fit in fits),
        ]
        shares = " | ".join(f"{100 * count / len(found):.0f} %" for count in bands)
        seen = statistics.median(len(other) for other in others)
        values = statistics.median(sum(map(open_values, other)) for other in others)
        rows.append(f"| {kind} | {len(found):,} | {shares} | {seen:.0f} | {values:.0f} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Print the table."""
    sys.stdout.write(table(events(SEED)))


if __name__ == "__main__":
    main()
