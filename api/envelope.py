"""The envelope of one CloudEvent: which attributes the ledger takes, and what each must be.

Guarantees: `Envelope.read` gives a submission only when every attribute is well formed and the
data is an object of canonical numbers (with `whole`, and as its type declares); otherwise it gives
every error at once, and no value in any of them.
Attributes that are null are unset (CloudEvents JSON format 1.0.2, section 2.2). Attributes that the
ledger does not keep are refused rather than dropped: what the sender recorded would be lost
without a word.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

from api import rfc3339, strict_json
from ledger.access import Credential
from ledger.catalogue import RESERVED, EventType
from ledger.errors import FieldError, Invalid
from ledger.submission import Submission
from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.errors import EntryError

RESERVED_REASON: Final = "recorded by the service alone"
_UNKNOWN: Final = (
    "not an attribute that this ledger keeps: leave it out, or send it in data where the type has "
    "a field for it"
)
#: Known attributes that are refused with a reason of their own.
_NOT_TAKEN: Final = {
    "data_base64": "data is a JSON object, sent as data",
    "dataschema": "the schema is named by type and schemaversion; leave this out",
}
_TAKEN: Final = frozenset(
    {
        "actor",
        "data",
        "datacontenttype",
        "expectedversion",
        "hub",
        "id",
        "organisation",
        "regime",
        "schemaversion",
        "source",
        "specversion",
        "subject",
        "time",
        "type",
    }
)
#: CloudEvents integers are signed and of 32 bits.
_MAX_INTEGER: Final = 2**31 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,9}")
_JSON_TYPE = re.compile(r"application/json(?:\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE)

_UUID_SENTENCE: Final = "must be a lower-case UUID of version 4 or 7"
_CODE_SENTENCE: Final = (
    "must be a code of 2 to 40 lower-case letters, digits and hyphens, and not the service's own"
)


class EventTypes(Protocol):
    """What is asked of a catalogue."""

    def get(self, type_name: str, schema: int | None = None, /) -> EventType | None:
        """The type at that schema version, the newest where None, or None if there is none."""


class Envelope:
    """Reads events for one caller at one moment.

    `latest` is the last instant an event may claim to have happened.
    """

    def __init__(self, types: EventTypes, credential: Credential, latest: str) -> None:
        self._types = types
        self._latest = latest
        self._organisation = credential.organisation
        self._hub = next(iter(credential.hubs)) if len(credential.hubs) == 1 else None

    def read(
        self, members: Mapping[str, Any], refused: Collection[str] = (), *, whole: bool = False
    ) -> tuple[Submission | None, list[FieldError]]:
        """One event. `refused` are pointers that are known to be bad already: they are not
        reported again. A submission comes back only where there are no errors at all. `whole`
        holds the data against its type as well, which the ledger does with what it records."""
        found = _Reader(
            {name: value for name, value in members.items() if value is not None}, set(refused)
        )
        _unknown_members(found)
        found.take("specversion", lambda value: value == "1.0", 'must be "1.0"')
        found.take(
            "datacontenttype", _is_json_type, "must be application/json", default="application/json"
        )
        event_id = found.take("id", entries.is_uuid, _UUID_SENTENCE)
        source = found.take("source", _is_client_code, _CODE_SENTENCE)
        organisation = found.take(
            "organisation", _is_client_code, _CODE_SENTENCE, default=self._organisation
        )
        hub = found.take(
            "hub", entries.is_hub, "must be E and eight digits, or central", default=self._hub
        )
        regime = found.take("regime", _is_regime, "must be dpa_part3 or uk_gdpr")
        expected = found.integer("expectedversion", least=0)
        schema = found.integer("schemaversion", least=1)
        time = self._time(found)
        event_type = self._type(found, schema)
        stream = _stream(found, event_type)
        actor = _actor(found, event_type)
        data = _data(found)
        if whole and data is not None and event_type is not None:
            for item in self._data_errors(data, event_type, schema):
                found.bad(item.pointer, item.reason)
        if found.errors or stream is None or event_type is None:
            return None, found.errors
        return (
            Submission(
                id=event_id,
                source=source,
                type=event_type.type,
                schema=schema,
                stream=stream,
                time=time,
                hub=hub,
                organisation=organisation,
                actor=actor,
                regime=regime,
                expected_version=expected,
                data=data,
            ),
            [],
        )

    def _time(self, found: "_Reader") -> str:
        text = found.take("time", _is_text, "must be an RFC 3339 date and time with an offset")
        if text is None:
            return ""
        try:
            time = rfc3339.normalise(text)
        except rfc3339.NotAnInstant as error:
            found.bad("/time", f"must be {error}")
            return ""
        if time > self._latest:
            minutes = int(rfc3339.MAX_AHEAD.total_seconds() // 60)
            found.bad("/time", f"is more than {minutes} minutes ahead of this service's clock")
        return time

    def _type(self, found: "_Reader", schema: int | None) -> EventType | None:
        name = found.take("type", entries.is_type_name, "must be a type of GET /v1/event-types")
        if name is None:
            return None
        if name in RESERVED:
            found.bad("/type", RESERVED_REASON)
            return None
        newest = self._types.get(name, None)
        if newest is not None and newest.service_alone:
            found.bad("/type", RESERVED_REASON)
            return None
        if newest is None:
            found.bad("/type", "must be a type of GET /v1/event-types")
            return None
        if newest.service_alone:
            found.bad("/type", RESERVED_REASON)
            return None
        if schema is None:
            return newest
        event_type = self._types.get(name, schema)
        if event_type is None:
            found.bad("/schemaversion", "is not a schema version of this type")
        return event_type

    def _data_errors(
        self, data: Any, event_type: EventType, schema: int | None
    ) -> tuple[FieldError, ...]:
        """What the catalogue finds wrong. An event that names no schema version may be the retry
        of one recorded under an older version, so it is refused only if it is good under none."""
        try:
            event_type.validate(data)
        except Invalid as error:
            older = range(event_type.schema - 1, 0, -1) if schema is None else ()
            for version in older:
                candidate = self._types.get(event_type.type, version)
                if candidate is not None and not self._data_errors(data, candidate, version):
                    return ()
            return error.fields
        return ()


class _Reader:
    """The members of one event, and what was found wrong with them: one error a pointer."""

    def __init__(self, members: Mapping[str, Any], refused: set[str]) -> None:
        self.members = members
        self.errors: list[FieldError] = []
        self._refused = refused

    def bad(self, pointer: str, reason: str) -> None:
        if pointer not in self._refused and len(self.errors) < strict_json.MAX_FIELDS:
            self._refused.add(pointer)
            self.errors.append(FieldError(pointer, reason))

    def take(
        self, name: str, good: Callable[[Any], bool], sentence: str, default: Any = None
    ) -> Any:
        """The member's value, or `default`; None after an error."""
        value = self.members.get(name, default)
        if value is None:
            self.bad(f"/{name}", f"is required, and {sentence}")
            return None
        if not good(value):
            self.bad(f"/{name}", sentence)
            return None
        return value

    def integer(self, name: str, least: int) -> int | None:
        """An optional integer. As a decimal string too: a header has no other way to write it, and
        what passed through a header on its way may still be written so."""
        value = self.members.get(name)
        if value is None:
            return None
        if type(value) is str and _DECIMAL.fullmatch(value):
            value = int(value)
        if type(value) is not int or not least <= value <= _MAX_INTEGER:
            self.bad(f"/{name}", f"must be an integer from {least} to {_MAX_INTEGER}")
            return None
        return value


def _unknown_members(found: _Reader) -> None:
    for name in found.members:
        if name not in _TAKEN:
            pointer = f"/{strict_json.pointer_name(name)}"
            found.bad(pointer, _NOT_TAKEN.get(name, _UNKNOWN))


def _stream(found: _Reader, event_type: EventType | None) -> entries.StreamRef | None:
    sentence = "must be <kind of stream>/<lower-case UUID of version 4 or 7>"
    text = found.take("subject", _is_text, sentence)
    if text is None:
        return None
    try:
        stream = entries.StreamRef.parse(text)
    except EntryError:
        found.bad("/subject", sentence)
        return None
    if event_type is not None and stream.kind not in event_type.stream_kinds:
        kinds = ", ".join(sorted(event_type.stream_kinds))
        found.bad("/subject", f"this type is recorded in streams of kind {kinds}")
    return stream


def _actor(found: _Reader, event_type: EventType | None) -> str | None:
    optional = event_type is None or event_type.recipient
    if "actor" not in found.members and optional:
        return None
    actor: str | None = found.take("actor", entries.is_uuid, _UUID_SENTENCE)
    return actor


def _data(found: _Reader) -> Any:
    data = found.take("data", lambda value: type(value) is dict, "must be a JSON object")
    if data is not None:
        for item in strict_json.bad_numbers(data, "/data"):
            found.bad(item.pointer, item.reason)
    return data


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_client_code(value: Any) -> bool:
    # The service's own code marks what it recorded itself: no client may write under it.
    return entries.is_code(value) and value != entries.SERVICE_CODE


def _is_regime(value: Any) -> bool:
    return type(value) is str and value in entries.REGIMES


def _is_json_type(value: Any) -> bool:
    return type(value) is str and _JSON_TYPE.fullmatch(value) is not None
