"""The ledger entry: the canonical bytes that are stored, hashed and verified.

Guarantees: `decode` accepts exactly the byte strings that `encode` can make. An accepted entry is
RFC 8785 canonical JSON of 1 to 65,535 bytes with every envelope member present and well formed,
no unknown member, no duplicate key, no number but integers below 2^53 in magnitude, keys in ASCII
and strings in Unicode NFC. What the fields of `data` may hold is the business of
`ledger_verifier.meaning.schemas`.

Format: docs/formats.md, "The entry".
"""

import hashlib
import operator
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import orjson

from ledger_verifier.formats.errors import EntryError, UnknownFormatError

FORMAT: Final = "hub-ledger/entry@v1"
SD_ALG: Final = "sha-256"
MAX_ENTRY: Final = 65_535
MAX_INTEGER: Final = 2**53 - 1
#: By how much `occurred_at` may be later than `recorded_at`: clocks differ.
MAX_AHEAD: Final = timedelta(minutes=5)
#: The most that the clocks of London are ahead of UTC.
SUMMER_TIME: Final = timedelta(hours=1)
#: Deepest nesting of arrays and objects; the format itself needs four levels.
MAX_DEPTH: Final = 16

STREAM_KINDS: Final = frozenset(
    {
        "access",
        "agreement",
        "assessment",
        "case",
        "content",
        "hub",
        "ledger",
        "oversight",
        "party",
        "restricted",
    }
)
REGIMES: Final = frozenset({"dpa_part3", "uk_gdpr"})
# A tuple, because what is looked up in it may be unhashable.
_REGIME_OR_NULL: Final = (None, *sorted(REGIMES))
#: Source, organisation and hub of what the service records on its own behalf.
SERVICE_CODE: Final = "hub-ledger"
CENTRAL_HUB: Final = "central"

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_TYPE = re.compile(r"(?=[a-z_.]{3,64}(?![a-z_.]))[a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*")
_CODE = re.compile(r"[a-z0-9-]{2,40}")
_HUB = re.compile(r"E[0-9]{8}|central")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
_INSTANT = re.compile(_DAY.pattern + _TIME)
#: Members that always hold a string, each with its form, and all of them in one expression, one a
#: line: an entry that is well formed takes one match instead of ten. No form matches a newline.
_FORMS: Final = {
    "_sd_alg": re.escape(SD_ALG),
    "id": _UUID.pattern,
    "nonce": _NONCE.pattern,
    "type": _TYPE.pattern,
    "occurred_at": f"{_DAY.pattern}(?:{_TIME})?",
    "recorded_at": _INSTANT.pattern,
    "source": _CODE.pattern,
    "organisation": _CODE.pattern,
    "hub": _HUB.pattern,
}
_STRINGS = re.compile("\n".join(f"(?:{form})" for form in _FORMS.values()))
_strings_of = operator.itemgetter(*_FORMS)

_MEMBERS = frozenset(
    {
        "_sd_alg",
        "actor",
        "data",
        "format",
        "hub",
        "id",
        "nonce",
        "occurred_at",
        "organisation",
        "recorded_at",
        "regime",
        "schema",
        "source",
        "stream",
        "submitted_by",
        "type",
    }
)
_STREAM_MEMBERS = frozenset({"id", "kind", "previous", "version"})
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


@dataclass(frozen=True, slots=True)
class StreamRef:
    """Identity of a stream: its kind and its random UUID, written `kind/id`."""

    kind: str
    id: str

    @property
    def text(self) -> str:
        return f"{self.kind}/{self.id}"

    @classmethod
    def parse(cls, text: str) -> "StreamRef":
        """Read `kind/uuid`; raises EntryError when it is anything else."""
        kind, slash, stream_id = text.partition("/")
        if not slash or kind not in STREAM_KINDS or not is_uuid(stream_id):
            raise EntryError("a stream is written <kind>/<lower-case UUID of version 4 or 7>")
        return cls(kind, stream_id)


def is_uuid(value: object) -> bool:
    """Whether the value is a lower-case UUID of version 4 or 7."""
    return type(value) is str and _UUID.fullmatch(value) is not None


def is_code(value: object) -> bool:
    """Whether the value is a source or organisation code."""
    return type(value) is str and _CODE.fullmatch(value) is not None


def is_hub(value: object) -> bool:
    """Whether the value is an ONS borough code or `central`."""
    return type(value) is str and _HUB.fullmatch(value) is not None


def is_type_name(value: object) -> bool:
    """Whether the value has the form `noun.past_participle`."""
    return type(value) is str and _TYPE.fullmatch(value) is not None


def is_digest(value: object) -> bool:
    """Whether the value is the unpadded base64url of 32 bytes."""
    return type(value) is str and _DIGEST.fullmatch(value) is not None


def is_nonce(value: object) -> bool:
    """Whether a value is 128 bits in base64url, unpadded."""
    return isinstance(value, str) and _NONCE.fullmatch(value) is not None


def is_hex64(value: object) -> bool:
    """Whether the value is 32 bytes in lower-case hexadecimal."""
    return type(value) is str and _HEX64.fullmatch(value) is not None


@lru_cache(maxsize=8192)
def _is_calendar_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_day(value: object) -> bool:
    """Whether the value is a calendar date `YYYY-MM-DD`."""
    return type(value) is str and _DAY.fullmatch(value) is not None and _is_calendar_day(value)


def is_instant(value: object) -> bool:
    """Whether the value is a UTC instant `YYYY-MM-DDTHH:MM:SS.mmmZ`."""
    return (
        type(value) is str
        and _INSTANT.fullmatch(value) is not None
        and _is_calendar_day(value[:10])
    )


def is_ahead(occurred: str, recorded: str) -> bool:
    """Whether something is said to have occurred more than MAX_AHEAD after it was recorded; both
    are well formed. A date counts from its first moment, on the clocks of London in summer."""
    # In this spelling what is not later does not sort after it, a date before every instant of it.
    if occurred <= recorded:
        return False
    room = MAX_AHEAD if len(occurred) == len(recorded) else MAX_AHEAD + SUMMER_TIME
    try:
        latest = datetime.fromisoformat(recorded.removesuffix("Z")) + room
    except OverflowError:
        return False
    return occurred > latest.isoformat(timespec="milliseconds") + "Z"


def link_hash(raw: bytes) -> bytes:
    """The hash by which the next entry of the stream names this one: SHA-256(0x02 || entry).

    It is not the leaf hash: hash tiles are public, and whoever holds one entry must not find its
    neighbours in them.
    """
    return hashlib.sha256(b"\x02" + raw).digest()


def encode(entry: dict[str, Any]) -> bytes:
    """Canonical bytes of an entry; raises EntryError when it cannot be one.

    The result always passes `decode`, which gives the same entry: what is written is what can be
    verified.
    """
    raw = canonical(entry)
    if decode(raw) != entry:
        raise EntryError("a value has no form of its own in JSON")
    return raw


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a value; exact for the value types an entry allows. Others are not all
    refused (NaN comes out as null), so what is to be kept is read back."""
    try:
        return orjson.dumps(value, option=_CANONICAL)
    except (TypeError, ValueError, RecursionError) as error:
        raise EntryError("value cannot be written as canonical JSON") from error


def decode(raw: bytes) -> dict[str, Any]:
    """The members of an entry. Raises EntryError naming the member that is wrong, and its subclass
    UnknownFormatError when the entry is of a format this code does not know."""
    if not 1 <= len(raw) <= MAX_ENTRY:
        raise EntryError(f"an entry has 1 to {MAX_ENTRY} bytes, this one has {len(raw)}")
    entry = load_canonical(raw)
    if type(entry) is not dict:
        raise EntryError("an entry is a JSON object")
    if entry.get("format") != FORMAT:
        if type(entry.get("format")) is str:
            raise UnknownFormatError("format is not known to this verifier")
        raise EntryError("format is missing")
    if entry.keys() != _MEMBERS:
        odd = sorted(entry.keys() ^ _MEMBERS)
        known = [name for name in odd if name in _MEMBERS]
        raise EntryError(f"missing member {known[0]}" if known else "unknown top-level member")
    _check_envelope(entry)
    _check_stream(entry["stream"])
    _check_data(entry["data"])
    return entry


def load_canonical(raw: bytes) -> Any:
    """Parse JSON and refuse it unless re-encoding gives the same bytes and every value is of an
    allowed type. (Re-encoding alone would let floats through: 1.0 survives the round trip.)"""
    try:
        value = orjson.loads(raw)
        again = orjson.dumps(value, option=_CANONICAL)
    except (ValueError, TypeError, RecursionError) as error:
        raise EntryError("not canonical JSON: cannot be parsed or holds a forbidden number") from (
            error
        )
    if again != raw:
        raise EntryError("not canonical JSON: key order, duplicate key, spacing or escapes differ")
    _check_values(value, 0)
    # A substring of an NFC text is NFC, so one look at the whole text mostly settles it. Only a
    # combining mark after an escape (the n of \n is a letter, the newline it stands for is not)
    # can make the text differ from its strings.
    if (
        not raw.isascii()
        and not unicodedata.is_normalized("NFC", raw.decode())
        and not _strings_are_nfc(value)
    ):
        raise EntryError("a string is not in Unicode normalisation form NFC")
    return value


def _strings_are_nfc(value: Any) -> bool:
    if type(value) is str:
        return unicodedata.is_normalized("NFC", value)
    if type(value) is dict:
        return all(map(_strings_are_nfc, value.values()))
    return type(value) is not list or all(map(_strings_are_nfc, value))


def _check_values(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is dict:
        if depth > MAX_DEPTH:
            raise EntryError("nested too deeply")
        if not "".join(value).isascii():
            raise EntryError("an object key is not ASCII")
        for item in value.values():
            if type(item) is not str:
                _check_values(item, depth + 1)
    elif kind is list:
        if depth > MAX_DEPTH:
            raise EntryError("nested too deeply")
        for item in value:
            if type(item) is not str:
                _check_values(item, depth + 1)
    elif kind is float:
        raise EntryError("a number is not an integer")


def _check_envelope(entry: dict[str, Any]) -> None:
    strings = _strings_of(entry)
    schema, actor, submitter = entry["schema"], entry["actor"], entry["submitted_by"]
    try:
        good = _STRINGS.fullmatch("\n".join(strings)) is not None
    except TypeError:
        good = False
    if not (
        good
        and _is_calendar_day(entry["occurred_at"][:10])
        and _is_calendar_day(entry["recorded_at"][:10])
        and type(schema) is int
        and 1 <= schema <= 9999
        and (actor is None or is_uuid(actor))
        and (submitter is None or is_uuid(submitter))
        and entry["regime"] in _REGIME_OR_NULL
    ):
        raise EntryError(f"{_malformed(entry)} is not well formed")


def _malformed(entry: dict[str, Any]) -> str:
    """The first member of a malformed envelope that is at fault."""
    for name, form in _FORMS.items():
        value = entry[name]
        if type(value) is not str or re.fullmatch(form, value) is None:
            return name
    for name in ("occurred_at", "recorded_at"):
        if not _is_calendar_day(entry[name][:10]):
            return name
    for name in ("actor", "submitted_by"):
        if entry[name] is not None and not is_uuid(entry[name]):
            return name
    return "regime" if entry["regime"] not in _REGIME_OR_NULL else "schema"


def _check_stream(stream: Any) -> None:
    if type(stream) is not dict or stream.keys() != _STREAM_MEMBERS:
        raise EntryError("stream has not exactly the members id, kind, previous, version")
    if type(stream["kind"]) is not str or stream["kind"] not in STREAM_KINDS:
        raise EntryError("stream.kind is not a kind of stream")
    if not is_uuid(stream["id"]):
        raise EntryError("stream.id is not well formed")
    version = stream["version"]
    if type(version) is not int or version < 1:
        raise EntryError("stream.version is not a positive integer")
    if version == 1:
        if stream["previous"] is not None:
            raise EntryError("stream.previous of a stream's first entry is not null")
    elif not is_hex64(stream["previous"]):
        raise EntryError("stream.previous is not the hexadecimal link hash of the entry before")


def _check_data(data: Any) -> None:
    if type(data) is not dict:
        raise EntryError("data is not an object")
    digests = data.get("_sd")
    if type(digests) is not list or not all(map(is_digest, digests)):
        raise EntryError("data._sd is not a list of base64url SHA-256 digests")
    if digests != sorted(set(digests)):
        raise EntryError("data._sd is not sorted, or holds a digest twice")
