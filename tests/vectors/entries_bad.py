"""Defective entries and disclosures, one for every rule of docs/formats.md that can be broken."""

import json
from typing import Any

from tests.vectors.c2sp_base import Json
from tests.vectors.entries_base import (
    DISCLOSURES,
    FORMAT,
    MEASURED_TEXT,
    NOTED_TEXT,
    b64url,
    bad,
    canonical,
    digest,
    drop,
    put,
    repeated,
)

NOT_CANONICAL = "not canonical JSON"
UPPER = "AB3F7986-82A3-4E5F-A8F9-3591436AD67F"
UUID = UPPER.lower()


PADDED = put(NOTED_TEXT, "data.pad", "here")


def _not_canonical() -> dict[str, str | bytes]:
    good, padded = NOTED_TEXT, PADDED
    entry = json.loads(good)
    raw = good.encode()
    actor = f'"actor":"{entry["actor"]}"'
    return {
        "duplicate-key": good.replace('"actor":', '"actor":null,"actor":'),
        "duplicate-key-with-equal-values": good.replace(actor, f"{actor},{actor}"),
        "duplicate-key-inside": good.replace('"flagged":true', '"flagged":true,"flagged":true'),
        "key-order": json.dumps(dict(reversed(entry.items())), separators=(",", ":")),
        "key-order-inside": good.replace(
            '"flagged":true,"purpose":"support"', '"purpose":"support","flagged":true'
        ),
        "space-after-colon": good.replace('"schema":1', '"schema": 1'),
        "space-before": " " + good,
        "trailing-newline": good + "\n",
        "trailing-text": good + "{}",
        "trailing-comma": good[:-1] + ",}",
        "cut-short": good[:-1],
        "byte-order-mark": b"\xef\xbb\xbf" + raw,
        "utf-16": good.encode("utf-16"),
        "single-quotes": good.replace('"', "'"),
        "comment": good.replace('"schema"', '/**/"schema"'),
        "escaped-letter": good.replace('"support"', '"\\u0073upport"'),
        "escaped-slash": padded.replace('"here"', '"\\/"'),
        "escaped-accent": padded.replace('"here"', '"\\u00e9"'),
        "long-escape-of-newline": padded.replace('"here"', '"\\u000a"'),
        "upper-case-escape": padded.replace('"here"', '"\\u001F"'),
        "escaped-delete": padded.replace('"here"', '"\\u007f"'),
        "escaped-lone-surrogate": padded.replace('"here"', '"\\ud800"'),
        "lone-surrogate": padded.encode().replace(b"here", b"\xed\xa0\x80"),
        "overlong-utf-8": padded.encode().replace(b"here", b"\xc0\xaf"),
        "not-utf-8": padded.encode().replace(b"here", b"\xe9"),
        "bare-control-character": padded.replace("here", "\n"),
        "zero-byte-after": raw + b"\0",
        **{name: good.replace('"schema":1', f'"schema":{text}') for name, text in NUMBERS.items()},
    }


def encodings() -> list[Json]:
    """Bytes that are not the canonical form of anything, or of something that is no entry."""
    good, padded = NOTED_TEXT, PADDED
    data = json.loads(good)["data"]
    return [
        *(bad(name, NOT_CANONICAL, text) for name, text in _not_canonical().items()),
        bad("float-1.0", "not an integer", good.replace('"schema":1', '"schema":1.0')),
        bad("float-1.5", "not an integer", good.replace('"schema":1', '"schema":1.5')),
        bad("float-minus-zero", "not an integer", good.replace('"schema":1', '"schema":-0.0')),
        bad("unnormalised-string", "NFC", put(good, "data.pad", "cafe\u0301")),
        bad("unnormalised-mark-order", "NFC", put(good, "data.pad", "q\u0307\u0323")),
        bad("non-ascii-key", "not ASCII", put(good, "data", {**data, "clé": 1})),
        bad("empty", "1 to 65535 bytes", ""),
        bad("empty-array", "JSON object", "[]"),
        bad("null", "JSON object", "null"),
        bad("string", "JSON object", '"entry"'),
        _long("65536-bytes", "1 to 65535 bytes", padded, "x", 65_536 - len(padded)),
        _long("nested-too-deeply", "too deeply", padded.replace('"here"', "here"), "[", 17, "]"),
        {
            "name": "60000-brackets",
            "error": "EntryError",
            "says": NOT_CANONICAL,
            **repeated("", "[", 60_000, ""),
        },
    ]


NUMBERS = {
    "exponent": "1e0",
    "minus-zero": "-0",
    "plus-sign": "+1",
    "leading-zero": "01",
    "integer-2-53": str(2**53),
    "integer-minus-2-53": str(-(2**53)),
    "integer-over-64-bits": "1" + "0" * 30,
    "integer-of-5000-digits": "9" * 5000,
    "over-every-float": "1e400",
    "not-a-number": "NaN",
    "infinity": "Infinity",
}


def _long(name: str, says: str, text: str, unit: str, times: int, close: str = "") -> Json:
    before, _, after = text.partition("here")
    if close:
        return bad(name, says, before + unit * times + close * times + after)
    return {"name": name, "error": "EntryError", "says": says} | repeated(
        before + "here", unit, times, after
    )


#: What each member is set to, one at a time, in an otherwise good entry.
WRONG: dict[str, dict[str, Any]] = {
    "_sd_alg": {"sha-512": "sha-512", "upper-case": "SHA-256", "null": None, "list": ["sha-256"]},
    "format": {"null": None, "number": 1, "list": [FORMAT]},
    "id": {
        "upper-case": UPPER,
        "version-1": UUID.replace("-4e5f", "-1e5f"),
        "version-5": UUID.replace("-4e5f", "-5e5f"),
        "wrong-variant": UUID.replace("-a8f9", "-c8f9"),
        "nil": "00000000-0000-0000-0000-000000000000",
        "without-hyphens": UUID.replace("-", ""),
        "in-braces": f"{{{UUID}}}",
        "with-newline": UUID + "\n",
        "null": None,
        "list": [UUID],
    },
    "nonce": {
        "padded": "QNk3fiQ1F205_KL48f3Elw==",
        "loose-bits": "QNk3fiQ1F205_KL48f3Elx",
        "standard-alphabet": "QNk3fiQ1F205/KL48f3Elw",
        "15-bytes": "QNk3fiQ1F205_KL48f3E",
        "null": None,
    },
    "type": {
        "one-word": "example",
        "three-words": "example.was.noted",
        "upper-case": "Example.noted",
        "hyphen": "example.not-ed",
        "trailing-underscore": "example.noted_",
        "65-characters": "example." + "n" * 57,
        "object": {},
    },
    "schema": {"0": 0, "10000": 10_000, "string": "1", "true": True, "null": None},
    "occurred_at": {
        "30-february": "2026-02-30",
        "29-february-of-2025": "2025-02-29T09:00:00.000Z",
        "month-13": "2026-13-01",
        "year-0": "0000-01-01",
        "week-date": "2026-W45-1",
        "leap-second": "2016-12-31T23:59:60.000Z",
        "hour-24": "2026-11-02T24:00:00.000Z",
        "no-milliseconds": "2026-11-02T09:00:00Z",
        "microseconds": "2026-11-02T09:00:00.000000Z",
        "offset": "2026-11-02T09:00:00.000+00:00",
        "lower-case": "2026-11-02t09:00:00.000z",
        "space": "2026-11-02 09:00:00.000Z",
        "arabic-digits": "2026-11-0٢",
        "with-newline": "2026-11-02\n",
        "list": ["2026-11-02"],
        "null": None,
    },
    "recorded_at": {
        "date": "2026-11-02",
        "30-february": "2026-02-30T09:00:00.000Z",
        "number": 1793610000000,
    },
    "source": {
        "upper-case": "Example",
        "underscore": "example_cases",
        "1-character": "x",
        "41-characters": "x" * 41,
        "null": None,
    },
    "organisation": {"space": "example council", "empty": "", "list": []},
    "hub": {
        "wales": "W06000015",
        "seven-digits": "E0900002",
        "nine-digits": "E090000231",
        "lower-case": "e09000023",
        "upper-case-central": "Central",
        "both": "E09000023central",
    },
    "actor": {"empty": "", "upper-case": UPPER, "false": False, "list": []},
    "submitted_by": {"empty": "", "version-1": UUID.replace("-4e5f", "-1e5f"), "zero": 0},
    "regime": {"unknown": "gdpr", "empty": "", "false": False, "list": [], "object": {}},
    "stream": {"null": None, "text": f"case/{UUID}", "list": []},
    "stream.kind": {"unknown": "person", "plural": "cases", "null": None, "list": [], "object": {}},
    "stream.id": {"upper-case": UPPER, "version-3": UUID.replace("-4e5f", "-3e5f"), "null": None},
    "stream.version": {"0": 0, "negative": -1, "string": "2", "true": True, "null": None},
    "stream.previous": {
        "missing": None,
        "upper-case": digest("x").hex().upper(),
        "63-digits": digest("x").hex()[1:],
        "base64url": b64url(digest("x")),
        "empty": "",
        "list": [],
    },
    "data": {"null": None, "list": [], "string": "{}"},
    "data._sd": {
        "null": None,
        "object": {},
        "string": b64url(digest("x")),
        "number-in-it": [1],
        "list-in-it": [[]],
        "padded-digest": [b64url(digest("x")) + "="],
        "loose-bits": [b64url(bytes(32))[:-1] + "B"],
        "standard-alphabet": ["+" + b64url(bytes(32))[1:]],
        "31-bytes": [b64url(bytes(31))],
        "hexadecimal": [digest("x").hex()],
    },
}


def members() -> list[Json]:
    """Canonical JSON with one member missing, too many, or of another form."""
    good = MEASURED_TEXT
    digests = json.loads(good)["data"]["_sd"]
    cases = [
        bad(f"{path}-{name}", f"{path} ", put(good, path, value))
        for path, values in WRONG.items()
        for name, value in values.items()
    ]
    missing = [
        bad(f"{name}-missing", f"missing member {name}", drop(good, name))
        for name in json.loads(good)
        if name != "format"
    ]
    first = put(NOTED_TEXT, "stream.previous", digest("x").hex())
    return [
        *cases,
        *missing,
        bad("format-missing", "format is missing", drop(good, "format")),
        bad(
            "format-unknown",
            "format is not known",
            put(good, "format", "hub-ledger/entry@v2"),
            "UnknownFormatError",
        ),
        bad("unknown-member", "unknown top-level member", put(good, "colour", "red")),
        bad("stream.kind-missing", "stream has not", drop(good, "stream.kind")),
        bad("stream-unknown-member", "stream has not", put(good, "stream.name", "x")),
        bad("stream.previous-on-version-1", "stream.previous", first),
        bad("data._sd-missing", "data._sd", drop(good, "data._sd")),
        bad("data._sd-unsorted", "not sorted", put(good, "data._sd", digests[::-1])),
        bad("data._sd-repeated", "twice", put(good, "data._sd", [digests[0], *digests])),
    ]


def disclosures() -> list[Json]:
    """Texts that open nothing."""
    item = DISCLOSURES[5][0]
    text, salt, array = item["text"], item["salt"], item["json"]

    def of(value: Any) -> str:
        return b64url(canonical(value).encode())

    # One byte over a multiple of three: the last character has four bits that say nothing.
    loose = next(text for n in range(3) if len(text := of([salt, "reason", "x" * n])) % 4 == 2)
    marks = of([salt, "reason", "?" * 8])
    arrays = {
        "two-items": [salt, "reason"],
        "four-items": [salt, "reason", None, None],
        "object": {"salt": salt, "name": "reason", "value": None},
        "salt-of-128-bits": [salt[:22], "reason", None],
        "salt-padded": [salt + "=", "reason", None],
        "salt-with-loose-bits": [b64url(bytes(32))[:-1] + "B", "reason", None],
        "salt-null": [None, "reason", None],
        "name-upper-case": [salt, "Reason", None],
        "name-reserved": [salt, "_sd", None],
        "name-of-65-characters": [salt, "n" * 65, None],
        "name-null": [salt, None, None],
        "float": [salt, "reason", 1.5],
        "integer-2-53": [salt, "reason", 2**53],
        "unnormalised": [salt, "reason", "cafe\u0301"],
        "non-ascii-key": [salt, "reason", {"clé": 1}],
    }
    texts = {
        **{name: of(value) for name, value in arrays.items()},
        "empty": "",
        "padded": text + "=" * (-len(text) % 4 or 4),
        "standard-alphabet": marks.replace("_", "/"),
        "loose-trailing-bits": loose[:-1] + chr(ord(loose[-1]) + 1),
        "with-newline": text + "\n",
        "with-space": text[:4] + " " + text[4:],
        "not-json": b64url(b"disclosure"),
        "spaces-as-in-rfc-9901": b64url(array.replace(",", ", ").encode()),
        "not-utf-8": b64url(array.encode().replace("é".encode(), b"\xe9")),
        "accent": text + "é",
    }
    return [bad(name, "", value, "DisclosureError") for name, value in texts.items()]
