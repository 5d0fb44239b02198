"""CloudEvents 1.0 over HTTP, read strictly (specification 1.0.2, its JSON format and HTTP binding).

Guarantees: structured, batched and binary requests give the same submissions; a request with
anything wrong gives none, and one error that names every bad member of every event. Nothing is
guessed and nothing is dropped in silence: an attribute that the ledger does not keep is refused.
(The CloudEvents SDK invents a missing `time` and accepts duplicate keys: it is used in tests
only.)

Modes: `application/cloudevents+json` is structured, `application/cloudevents-batch+json` a batch;
`application/json` is binary where a `ce-` header is present, and otherwise an object is one
structured event and an array a batch, since many clients send no better.

Mapping of attributes: docs/http.md.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NoReturn
from urllib.parse import unquote_to_bytes

import orjson

from api import rfc3339, strict_json
from api.body import BATCH_EVENTS, EVENT_LIMIT
from api.envelope import RESERVED_REASON, Envelope, EventTypes
from api.problems import UnsupportedMediaType
from ledger.access import Credential
from ledger.errors import FieldError, Invalid, ReservedType, TooLarge
from ledger.submission import Submission

_TAKEN: Final = (
    "Send application/cloudevents+json, application/cloudevents-batch+json, or application/json, "
    "in UTF-8."
)
_PREFIX: Final = "ce-"
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Mode(Enum):
    """How a request carries events."""

    STRUCTURED = "structured"
    BATCH = "batch"
    BINARY = "binary"
    #: application/json without `ce-` headers: structured or batch, as its first character says.
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Request:
    """What a request asks to be recorded. `batch` also for a batch of one: replies differ."""

    submissions: tuple[Submission, ...]
    batch: bool


def mode_of(headers: Iterable[tuple[str, str]]) -> Mode:
    """The content mode that the headers declare; raises UnsupportedMediaType."""
    pairs = [(name.lower(), value) for name, value in headers]
    types = [value for name, value in pairs if name == "content-type"]
    if len(types) != 1:
        raise UnsupportedMediaType(f"The request has no one Content-Type. {_TAKEN}")
    media_type = _json_type(types[0])
    match media_type:
        case "application/cloudevents+json":
            return Mode.STRUCTURED
        case "application/cloudevents-batch+json":
            return Mode.BATCH
        case "application/json":
            binary = any(name.startswith(_PREFIX) for name, _ in pairs)
            return Mode.BINARY if binary else Mode.JSON
        case _:
            raise UnsupportedMediaType(f"The media type is not taken here. {_TAKEN}")


@lru_cache(maxsize=64)
def _json_type(value: str) -> str | None:
    """The media type in lower case, or None where a parameter says anything but UTF-8."""
    message = Message()
    message["content-type"] = value
    charset = message.get_param("charset", "utf-8")
    if not isinstance(charset, str) or charset.lower() not in ("utf-8", "utf8"):
        return None
    return message.get_content_type()


class Parser:
    """Turns requests into submissions for the event types of one catalogue.

    `now` is the clock against which events from the future are refused.
    """

    def __init__(self, types: EventTypes, now: Callable[[], datetime]) -> None:
        self._types = types
        self._now = now

    def parse(
        self,
        mode: Mode,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        credential: Credential,
        *,
        whole: bool = False,
    ) -> Request:
        """Read a request. `credential` gives the defaults of `organisation` and `hub`.

        Raises MalformedJson; TooLarge; ReservedType, where any event is of a type that the service
        alone records; and Invalid, whose fields are pointers such as `/time` or `/data/purpose`,
        in a batch after the event's index: `/3/time`. An Invalid names every fault of every event,
        those of the data included. A request whose only faults are in the data is returned all the
        same unless `whole`: the ledger looks for retries before it judges data, and judges it then.
        """
        value = strict_json.loads(body)
        attributes: dict[str, str] = {}
        errors: list[FieldError] = []
        batch = mode is Mode.BATCH or (mode is Mode.JSON and type(value) is list)
        if mode is Mode.BINARY:
            attributes, errors = binary_attributes(headers)
            events = [{**attributes, "data": value}]
        elif batch:
            events = _batch(value, len(body))
        elif type(value) is dict:
            events = [value]
        else:
            raise Invalid("An event is a JSON object.")
        envelope = Envelope(self._types, credential, rfc3339.latest_allowed(self._now()))
        submissions = self._read(envelope, events, errors, batch, whole)
        if errors and not whole:
            self._read(envelope, events, errors, batch, True)
        if errors:
            _refuse(errors, batch)
        return Request(tuple(submissions), batch)

    def _read(
        self,
        envelope: Envelope,
        events: list[Any],
        errors: list[FieldError],
        batch: bool,
        whole: bool,
    ) -> list[Submission]:
        """The submissions, and in `errors` what is wrong that is not in it yet."""
        refused = {item.pointer for item in errors}
        submissions: list[Submission] = []
        for index, members in enumerate(events):
            found: Iterable[FieldError] = [FieldError("", "must be a JSON object: one event")]
            if type(members) is dict:
                submission, found = envelope.read(members, () if batch else refused, whole=whole)
                if submission is not None:
                    submissions.append(submission)
            for item in under(index, found) if batch else found:
                if item.pointer not in refused:
                    refused.add(item.pointer)
                    errors.append(item)
        return submissions


def _batch(value: Any, size: int) -> list[Any]:
    if type(value) is not list:
        raise Invalid("A batch is a JSON array of events.")
    if len(value) > BATCH_EVENTS:
        raise TooLarge(
            f"A batch has at most {BATCH_EVENTS} events; nothing was recorded.",
            extra={"limit": BATCH_EVENTS},
        )
    if size > EVENT_LIMIT:
        _check_sizes(value)
    return value


def under(index: int, errors: Iterable[FieldError]) -> Iterator[FieldError]:
    """The errors of one event of a batch, as errors of the batch."""
    return (FieldError(f"/{index}{item.pointer}", item.reason) for item in errors)


def _refuse(errors: list[FieldError], batch: bool) -> NoReturn:
    reserved = [item for item in errors if item.reason == RESERVED_REASON]
    if reserved:
        raise ReservedType("This type is recorded by the service alone.", reserved)
    what = "Events of the batch are" if batch else "The event is"
    raise Invalid(f"{what} malformed; nothing was recorded.", errors)


def _check_sizes(events: list[Any]) -> None:
    over = [
        FieldError(f"/{index}", "one event is over the limit")
        for index, event in enumerate(events)
        if len(orjson.dumps(event)) > EVENT_LIMIT
    ]
    if over:
        raise TooLarge(
            f"One event is at most {EVENT_LIMIT // 1024} KiB, also in a batch; nothing was "
            "recorded.",
            over,
            {"limit": EVENT_LIMIT},
        )


def binary_attributes(
    headers: Iterable[tuple[str, str]],
) -> tuple[dict[str, str], list[FieldError]]:
    """The attributes in `ce-` headers, percent-decoded once (HTTP binding 3.1.3.2), and what is
    wrong with them."""
    attributes: dict[str, str] = {}
    errors: list[FieldError] = []
    for raw_name, raw_value in headers:
        if not raw_name.lower().startswith(_PREFIX):
            continue
        name = raw_name[len(_PREFIX) :].lower()
        pointer = f"/{strict_json.pointer_name(name)}"
        if name in ("datacontenttype", "data", "data_base64"):
            errors.append(FieldError(pointer, "in binary mode Content-Type and the body say this"))
        elif name in attributes:
            errors.append(FieldError(pointer, "given twice"))
        else:
            value = _header_value(raw_value)
            if value is None:
                errors.append(FieldError(pointer, "must be percent-encoded UTF-8"))
            attributes[name] = "" if value is None else value
    return attributes, errors


def _header_value(text: str) -> str | None:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    if not text.isascii() or _PERCENT.search(text):
        return None
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        return None
