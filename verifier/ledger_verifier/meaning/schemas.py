"""Registered schemas: what an entry of each type must look like, as the log itself declares it.

Guarantees: an entry that passes `Registry.check` is of a type registered earlier in the same log,
is in a kind of stream that type may be in, occurred before it was recorded (give or take 5 minutes,
which clocks may differ by), has exactly the open fields of its registration with
values of the declared kinds (never free text), and commits to exactly one digest for every sealed
field. `ledger.opened`, `schema.registered`, `sealed.lost` and `stream.expired` are defined by the
format itself.

Kinds of open fields are written `base`, then `[]` for a list, then `?` where null is allowed, then
for codes `:` and the allowed values: `uuid`, `date?`, `code:support|safeguarding`, `code[]:a|b`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger_verifier.formats import entry as entries
from ledger_verifier.formats.errors import EntryError
from ledger_verifier.meaning.expiry import STREAM_EXPIRED, check_expired
from ledger_verifier.meaning.succession import parse_predecessor

LEDGER_OPENED: Final = "ledger.opened"
SCHEMA_REGISTERED: Final = "schema.registered"
#: Sealed fields that were lost with a store, and not by an erasure.
SEALED_LOST: Final = "sealed.lost"
#: Types whose entries say what the log is and how the others are read.
DEFINING_TYPES: Final = frozenset({LEDGER_OPENED, SCHEMA_REGISTERED})
#: Types that the format itself defines and the service alone records.
RESERVED_TYPES: Final = DEFINING_TYPES | {SEALED_LOST, STREAM_EXPIRED}
#: Registered types that nobody but the service records: what it does with its own keys and stores,
#: what it looked at itself, and who was let at the staff map.
SERVICE_ALONE_TYPES: Final = frozenset(
    {
        "erasure.verified",
        "findings.frozen",
        "staff.registered",
        "staff_opening.confirmed",
        "staff_opening.requested",
        "wrapping_key.rotated",
    }
)
#: Registered types that the service may record by itself, under its own source: it saw them happen.
SERVICE_TYPES: Final = (
    frozenset({"backup.horizon_passed", "export.produced", "ledger.queried", "record.consulted"})
    | SERVICE_ALONE_TYPES
)

CODED: Final = "coded"
PERSONAL: Final = "personal"
ATTRIBUTION: Final = "attribution"
#: What a recipient's type seals, as attribution: who truly submitted the entry.
TRUE_FIELDS: Final = ("true_actor", "true_organisation", "true_source", "true_submitted_by")
SEALED_CLASSES: Final = frozenset({CODED, PERSONAL, ATTRIBUTION})

MAX_LIST: Final = 64
AHEAD: Final = "occurred_at: more than 5 minutes after recorded_at"

_KIND = re.compile(r"(uuid|date|instant|count|flag|sha256|code)(\[\])?(\?)?(?::([a-z0-9|-]+))?")
_CODE_VALUE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Lost:
    """What a `sealed.lost` entry declares: that of the entries at positions `first` to `last`, the
    sealed fields of one class of key ("subject" or "attribution") are lost, in `entries` of them,
    because a backup of `backup_size` entries was restored and the log brought back from its own
    entries to `log_size`."""

    key_class: str
    first: int
    last: int
    entries: int
    backup_size: int
    log_size: int


@dataclass(frozen=True, slots=True)
class Registration:
    """One registered (type, schema): its streams, its fields, and how to check them."""

    type: str
    schema: int
    streams: frozenset[str]
    occurred: str
    recipient: bool
    open: Mapping[str, str]
    sealed: Mapping[str, str]
    checks: Mapping[str, Check]


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= entries.MAX_INTEGER


def _is_flag(value: Any) -> bool:
    return type(value) is bool


_BASES: Final[Mapping[str, Check]] = {
    "uuid": entries.is_uuid,
    "date": entries.is_day,
    "instant": entries.is_instant,
    "count": _is_count,
    "flag": _is_flag,
    "sha256": entries.is_hex64,
}


def kind_check(kind: str) -> Check:
    """The check that a kind of open field stands for; raises EntryError for an unknown kind."""
    match = _KIND.fullmatch(kind)
    if match is None:
        raise EntryError("open field has an unknown kind")
    base, is_list, nullable, values = match.groups()
    if (base == "code") is not (values is not None):
        raise EntryError("a code, and only a code, lists its values")
    check = _code_check(values) if values is not None else _BASES[base]
    if is_list:
        check = _list_check(check)
    return _nullable_check(check) if nullable else check


def _code_check(values: str) -> Check:
    listed = values.split("|")
    allowed = frozenset(listed)
    if not all(_CODE_VALUE.fullmatch(value) for value in listed):
        raise EntryError("a code has a value that is not lower-case letters, digits and hyphens")
    if len(allowed) != len(listed):
        raise EntryError("a code lists a value twice")

    def check(value: Any) -> bool:
        return type(value) is str and value in allowed

    return check


def _list_check(item: Check) -> Check:
    def check(value: Any) -> bool:
        return type(value) is list and len(value) <= MAX_LIST and all(map(item, value))

    return check


def _nullable_check(inner: Check) -> Check:
    def check(value: Any) -> bool:
        return value is None or inner(value)

    return check


class Registry:
    """The registrations a reader of the log has met so far, in log order."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Registration] = {}

    def knows(self, type_name: str, schema: int) -> bool:
        """Whether this (type, schema) has been registered, or is defined by the format."""
        return (type_name, schema) in self._known or type_name in RESERVED_TYPES

    def get(self, type_name: str, schema: int) -> Registration | None:
        """The registration, or None when there is none (reserved types have none)."""
        return self._known.get((type_name, schema))

    def learn(self, entry: Mapping[str, Any]) -> Registration:
        """Take in a `schema.registered` entry; raises EntryError when it is malformed, or when
        that (type, schema) is registered already: a schema only ever gains a new version."""
        registration = parse_registration(entry["data"])
        key = (registration.type, registration.schema)
        if key in self._known or registration.type in RESERVED_TYPES:
            raise EntryError("data.type: this type and schema is registered already")
        self._known[key] = registration
        return registration

    def check(self, entry: Mapping[str, Any]) -> None:
        """Hold a decoded entry against its registration; raises EntryError naming the field."""
        if entries.is_ahead(entry["occurred_at"], entry["recorded_at"]):
            raise EntryError(AHEAD)
        if entry["type"] in RESERVED_TYPES:
            _check_reserved(entry)
            return
        registration = self._known.get((entry["type"], entry["schema"]))
        if registration is None:
            raise EntryError("type: not registered in this log before this entry")
        if entry["stream"]["kind"] not in registration.streams:
            raise EntryError("stream.kind: this type may not be in this kind of stream")
        if (len(entry["occurred_at"]) == 10) is not (registration.occurred == "date"):
            raise EntryError(f"occurred_at: this type declares {registration.occurred}")
        _check_fields(entry["data"], registration)
        _check_submitter(entry, registration)


def _check_fields(data: Mapping[str, Any], registration: Registration) -> None:
    checks = registration.checks
    if len(data) != len(checks) + 1:
        raise EntryError("data: has not exactly the open fields of its registration")
    for name, check in checks.items():
        if name not in data:
            raise EntryError(f"data.{name}: missing")
        if not check(data[name]):
            raise EntryError(f"data.{name}: not of its registered kind")
    if len(data["_sd"]) != len(registration.sealed):
        raise EntryError("data._sd: has not one digest for each sealed field")


def _check_submitter(entry: Mapping[str, Any], registration: Registration) -> None:
    by_nobody = entry["actor"] is None and entry["submitted_by"] is None
    if registration.recipient:
        category = entry["data"].get("recipient_category")
        if not by_nobody or entry["source"] != category or entry["organisation"] != category:
            raise EntryError("source: a recipient's entry holds its category and names nobody")
    elif entry["source"] == entries.SERVICE_CODE:
        if entry["type"] not in SERVICE_TYPES:
            raise EntryError("source: the ledger itself records no entry of this type")
    elif entry["type"] in SERVICE_ALONE_TYPES:
        raise EntryError("source: this type is recorded by the ledger itself alone")
    elif entry["actor"] is None or entry["submitted_by"] is None or entry["regime"] is None:
        raise EntryError("actor: a hub's entry names its actor, submitter and regime")


def parse_registration(data: Mapping[str, Any]) -> Registration:
    """Read the data of a `schema.registered` entry; raises EntryError naming the field."""
    expected = {
        "_sd",
        "json_schema_sha256",
        "occurred",
        "open",
        "recipient",
        "schema",
        "sealed",
        "streams",
        "type",
    }
    if data.keys() != expected or data["_sd"]:
        raise EntryError("data: a registration has other members")
    streams, open_fields, sealed = data["streams"], data["open"], data["sealed"]
    good = (
        ("type", entries.is_type_name(data["type"])),
        ("schema", type(data["schema"]) is int and 1 <= data["schema"] <= 9999),
        ("streams", type(streams) is list and len(streams) > 0 and _are_kinds(streams)),
        ("occurred", data["occurred"] in ("instant", "date")),
        ("recipient", type(data["recipient"]) is bool),
        ("open", type(open_fields) is dict and _are_fields(open_fields)),
        ("sealed", type(sealed) is dict and _are_fields(sealed)),
        ("json_schema_sha256", entries.is_hex64(data["json_schema_sha256"])),
    )
    for name, ok in good:
        if not ok:
            raise EntryError(f"data.{name}: not well formed")
    if any(type(v) is not str or v not in SEALED_CLASSES for v in sealed.values()):
        raise EntryError("data.sealed: unknown class")
    if any(type(kind) is not str for kind in open_fields.values()):
        raise EntryError("data.open: a kind is not a string")
    if open_fields.keys() & sealed.keys():
        raise EntryError("data.sealed: a field is both open and sealed")
    if data["recipient"]:
        _check_recipient(open_fields, sealed)
    checks = {name: kind_check(kind) for name, kind in open_fields.items()}
    return Registration(
        data["type"],
        data["schema"],
        frozenset(streams),
        data["occurred"],
        data["recipient"],
        open_fields,
        sealed,
        checks,
    )


def _check_recipient(open_fields: Mapping[str, str], sealed: Mapping[str, str]) -> None:
    """A type that recipients submit says of which category they are, and seals who they truly are:
    otherwise nobody would be answerable for its entries."""
    if not open_fields.get("recipient_category", "").startswith("code:"):
        raise EntryError("data.open: a recipient's type has recipient_category, a code")
    if any(sealed.get(name) != ATTRIBUTION for name in TRUE_FIELDS):
        raise EntryError(f"data.sealed: a recipient's type seals {', '.join(TRUE_FIELDS)}")


def _are_kinds(streams: list[Any]) -> bool:
    known = all(type(kind) is str and kind in entries.STREAM_KINDS for kind in streams)
    return known and len(set(streams)) == len(streams)


def _are_fields(fields: Mapping[str, Any]) -> bool:
    return all(_FIELD.fullmatch(name) for name in fields)


def _check_reserved(entry: Mapping[str, Any]) -> None:
    if entry["schema"] != 1 or entry["stream"]["kind"] != "ledger":
        raise EntryError("type: a reserved type has schema 1 and is in the ledger stream")
    by_service = (
        entry["source"] == entries.SERVICE_CODE
        and entry["organisation"] == entries.SERVICE_CODE
        and entry["hub"] == entries.CENTRAL_HUB
        and entry["actor"] is None
        and entry["submitted_by"] is None
        and entry["regime"] is None
    )
    if not by_service:
        raise EntryError("source: a reserved type is recorded by the service alone")
    if len(entry["occurred_at"]) == 10:
        raise EntryError("occurred_at: this type declares instant")
    if entry["type"] == LEDGER_OPENED:
        _check_opened(entry["data"])
    elif entry["type"] == SEALED_LOST:
        parse_lost(entry["data"])
    elif entry["type"] == STREAM_EXPIRED:
        check_expired(entry["data"])


def _check_opened(data: Mapping[str, Any]) -> None:
    """`ledger.opened`: the log's origin, its verifier keys, and what it succeeds, if anything."""
    if data.keys() != {"_sd", "keys", "origin", "predecessor"} or data["_sd"]:
        raise EntryError("data: ledger.opened has exactly keys, origin and predecessor")
    if type(data["origin"]) is not str or not 0 < len(data["origin"]) <= 255:
        raise EntryError("data.origin: not well formed")
    keys = data["keys"]
    if type(keys) is not list or not keys or any(type(key) is not str for key in keys):
        raise EntryError("data.keys: not a list of verifier keys")
    if data["predecessor"] is not None:
        parse_predecessor(data["predecessor"], data["origin"], keys)


def parse_lost(data: Mapping[str, Any]) -> Lost:
    """Read the data of a `sealed.lost` entry; raises EntryError naming the field."""
    counts = ("first", "last", "entries", "backup_size", "log_size")
    if data.keys() != {"_sd", "key_class", *counts} or data["_sd"]:
        raise EntryError("data: sealed.lost has other members")
    if data["key_class"] not in ("subject", "attribution"):
        raise EntryError("data.key_class: not a class of keys")
    for name in counts:
        if not _is_count(data[name]):
            raise EntryError(f"data.{name}: not a count")
    lost = Lost(**{name: value for name, value in data.items() if name != "_sd"})
    if not lost.first <= lost.last < lost.log_size or lost.backup_size > lost.log_size:
        raise EntryError("data.last: not a range of positions in that log")
    if not 1 <= lost.entries <= lost.last - lost.first + 1:
        raise EntryError("data.entries: not a number of entries in that range")
    return lost
