"""The catalogue as a page for people: docs/event-types.md.

A pure function of the catalogue; a test holds the file in the repository against it.
"""

import json
from collections.abc import Iterable

from ledger.catalogue.event_type import EventType
from ledger.catalogue.fields import shape_name

_INTRODUCTION = """\
# Event types

Made by `python -m ledger.catalogue`; do not edit by hand.

Every event is a CloudEvent posted to `/v1/events`. Its `data` holds the fields below, all in one
object. The service splits them by class:

- **open**: in the entry's bytes for as long as the log keeps them. Only codes listed here, ids,
  dates, counts and flags; never free text.
- **coded**: coded facts about the person, sealed; destroyed when the person is erased.
- **personal**: content about the person, sealed; destroyed when the person is erased.
- **attribution**: who is accountable, sealed under another key; kept until the log itself expires.

A field marked *optional* may be left out or null. A field marked *added by the service* is refused
from clients. Strings are put into Unicode form NFC. Numbers are whole and written without a
fraction (`56`, never `56.0`). Dates are in London time and written `YYYY-MM-DD`.

A type marked *log* is a log under section 62 of the Data Protection Act 2018: it may be used for
lawfulness, self-monitoring, security and criminal proceedings only.
"""


_OWN = """\
## What the ledger records of itself

These types are recorded by the service alone: a client that posts one gets 403 `reserved-type`, and
`/v1/event-types` does not list them. The example is the `data` of such an entry.
"""


def render(event_types: Iterable[EventType], own: Iterable[EventType] = ()) -> str:
    """The page, in Markdown, ending with one newline. `own` is what the service alone records."""
    listed, last = list(event_types), list(own)
    index = [
        f"- [`{one.type}`](#{_anchor(one)}): {_first_sentence(one)}" for one in [*listed, *last]
    ]
    sections = [_section(one) for one in listed]
    if last:
        sections += [_OWN, *(_section(one) for one in last)]
    return "\n".join([_INTRODUCTION, *index, "", "\n".join(sections)])


def _anchor(event_type: EventType) -> str:
    return event_type.type.replace(".", "")


def _first_sentence(event_type: EventType) -> str:
    return event_type.description.split(". ")[0].rstrip(".")


def _section(event_type: EventType) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in event_type.stream_kinds)
    example = event_type.example["data"] if event_type.service_alone else event_type.example
    time = "to the millisecond" if event_type.occurred == "instant" else "to the London date"
    lines = [
        f"{'###' if event_type.service_alone else '##'} {event_type.type}",
        "",
        event_type.description,
        "",
        f"- Evidence for: {event_type.duty}",
        f"- Schema {event_type.schema}, family `{event_type.family}`, mark `{event_type.mark}`",
        f"- Streams: {kinds}",
        f"- Time of the act is kept {time}",
    ]
    if event_type.recipient:
        lines.append("- Submitted by recipients of data, whose identity the service seals")
    if event_type.requires_role is not None:
        roles = ", ".join(sorted(event_type.requires_role))
        lines.append(
            f"- Submitted only with the role: {roles}; or by a recording token made with `--all`"
        )
    lines += [
        f"- JSON Schema SHA-256: `{event_type.json_schema_sha256}`",
        "",
        "| field | class | value | meaning |",
        "|---|---|---|---|",
        *(_row(event_type, name) for name in event_type.fields),
        "",
        "```json",
        json.dumps(example, indent=2, ensure_ascii=False),
        "```",
        "",
    ]
    return "\n".join(lines)


def _row(event_type: EventType, name: str) -> str:
    notes = []
    if name in event_type.service_added:
        notes.append("added by the service")
    elif name not in event_type.json_schema["required"]:
        notes.append("optional")
    value = shape_name(event_type.shapes[name])
    marked = f"{value} ({', '.join(notes)})" if notes else value
    return f"| `{name}` | {event_type.fields[name]} | {marked} | {event_type.descriptions[name]} |"
