"""A small log with fixed content, and the helpers that turn its entries into defective ones.

Canonical bytes are made here with the standard library alone, so that the vectors do not lean on
the code they are for. Ids, nonces and salts are SHA-256 of fixed labels.
"""

import base64
import json
from hashlib import sha256
from typing import Any

from tests.vectors.c2sp_base import LOG, LOG_MLDSA, ORIGIN, Json, given

FORMAT = "hub-ledger/entry@v1"


def digest(label: str) -> bytes:
    return sha256(f"hub-ledger test entries: {label}".encode()).digest()


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def uuid_of(label: str, version: int = 4) -> str:
    text = digest(label).hex()
    return f"{text[:8]}-{text[8:12]}-{version}{text[13:16]}-a{text[17:20]}-{text[20:32]}"


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def disclosure(label: str, name: str, value: Any) -> Json:
    """A disclosure with everything that goes into it and comes out of it."""
    salt = b64url(digest(f"salt {label} {name}"))
    array = canonical([salt, name, value])
    text = b64url(array.encode())
    return {
        "name": f"{label}/{name}",
        "salt": salt,
        "field": name,
        "value": value,
        "json": array,
        "text": text,
        "digest": b64url(sha256(text.encode()).digest()),
    }


NOTED: Json = {
    "type": "example.noted",
    "schema": 1,
    "streams": ["case"],
    "occurred": "date",
    "recipient": False,
    "open": {"flagged": "flag", "purpose": "code:safeguarding|support"},
    "sealed": {"reason": "personal"},
    "json_schema_sha256": digest("schema example.noted").hex(),
}
#: Every kind of open field, and every class of sealed field.
MEASURED: Json = {
    "type": "example.measured",
    "schema": 2,
    "streams": ["case", "content"],
    "occurred": "instant",
    "recipient": False,
    "open": {
        "at": "instant",
        "categories": "code[]:health|housing",
        "document": "sha256",
        "due": "date?",
        "flagged": "flag",
        "purpose": "code:safeguarding|support",
        "reference": "uuid",
        "related": "uuid[]?",
        "shown": "count",
        "stage": "code?:one|two",
    },
    "sealed": {"age_band": "coded", "panel": "attribution", "reason": "personal"},
    "json_schema_sha256": digest("schema example.measured").hex(),
}
ACKNOWLEDGED: Json = {
    "type": "example.acknowledged",
    "schema": 1,
    "streams": ["case"],
    "occurred": "date",
    "recipient": True,
    "open": {"recipient_category": "code:police|school"},
    "sealed": {
        "true_actor": "attribution",
        "true_organisation": "attribution",
        "true_source": "attribution",
        "true_submitted_by": "attribution",
    },
    "json_schema_sha256": digest("schema example.acknowledged").hex(),
}
CONSULTED: Json = {
    "type": "record.consulted",
    "schema": 1,
    "streams": ["access"],
    "occurred": "instant",
    "recipient": False,
    "open": {},
    "sealed": {},
    "json_schema_sha256": digest("schema record.consulted").hex(),
}
REGISTRATIONS = (NOTED, MEASURED, ACKNOWLEDGED, CONSULTED)
OPENED: Json = {
    "origin": ORIGIN,
    "keys": [LOG.key.vkey, LOG_MLDSA.key.vkey],
    "predecessor": None,
}
FIELDS: Json = {
    "at": "2026-11-02T09:30:00.000Z",
    "categories": ["health", "housing"],
    "document": digest("document").hex(),
    "due": None,
    "flagged": False,
    "purpose": "support",
    "reference": uuid_of("reference", 7),
    "related": [uuid_of("related")],
    "shown": 2**53 - 1,
    "stage": "two",
}
LEDGER, CASE, ACCESS = uuid_of("ledger stream"), uuid_of("case"), uuid_of("access stream")
#: Sealed values, by position and then by field.
SEALED: dict[int, Json] = {
    5: {"reason": 'Referred by a café: "naïve".\nLine two.'},
    6: {"age_band": "16-17", "panel": ["example-council", "example-police"], "reason": None},
    8: {
        "true_actor": uuid_of("recipient"),
        "true_organisation": "example-school",
        "true_source": "example-school",
        "true_submitted_by": uuid_of("recipient's credential"),
    },
}
DISCLOSURES = {
    position: [disclosure(f"position-{position}", name, value) for name, value in values.items()]
    for position, values in SEALED.items()
}


def link_hash(text: str) -> str:
    return sha256(b"\x02" + text.encode()).hexdigest()


class Chain:
    """Entries in log order; fills in what the ledger stamps."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._heads: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, stream: str, type_name: str, data: Json, **members: Any) -> None:
        position = len(self.texts)
        version, previous = self._heads.get(stream, (0, None))
        digests = sorted(item["digest"] for item in DISCLOSURES.get(position, []))
        entry = {
            "_sd_alg": "sha-256",
            "actor": None,
            "data": {**data, "_sd": digests},
            "format": FORMAT,
            "hub": "central",
            "id": uuid_of(f"entry {position}"),
            "nonce": b64url(digest(f"nonce {position}")[:16]),
            "occurred_at": "2026-11-02T09:00:00.000Z",
            "organisation": "hub-ledger",
            "recorded_at": f"2026-11-02T09:00:{position:02d}.000Z",
            "regime": None,
            "schema": 1,
            "source": "hub-ledger",
            "stream": {"kind": kind, "id": stream, "version": version + 1, "previous": previous},
            "submitted_by": None,
            "type": type_name,
            **members,
        }
        text = canonical(entry)
        self._heads[stream] = (version + 1, link_hash(text))
        self.texts.append(text)


def make_log() -> list[str]:
    """The log: its opening, four registrations, and an entry of each type."""
    by_hub = {
        "actor": uuid_of("actor"),
        "hub": "E09000023",
        "organisation": "example-council",
        "regime": "uk_gdpr",
        "source": "example-cases",
        "submitted_by": uuid_of("credential"),
    }
    by_recipient = {"hub": "E09000023", "organisation": "school", "source": "school"}
    chain = Chain()
    chain.add("ledger", LEDGER, "ledger.opened", OPENED)
    for registration in REGISTRATIONS:
        chain.add("ledger", LEDGER, "schema.registered", registration)
    noted = {"flagged": True, "purpose": "support"}
    on = "2026-11-02"
    chain.add("case", CASE, "example.noted", noted, occurred_at=on, **by_hub)
    chain.add("case", CASE, "example.measured", FIELDS, schema=2, **by_hub)
    chain.add("access", ACCESS, "record.consulted", {}, hub="E09000023")
    category = {"recipient_category": "school"}
    recipient: Json = {"regime": "uk_gdpr", **by_recipient}
    chain.add("case", CASE, "example.acknowledged", category, occurred_at=on, **recipient)
    return chain.texts


TEXTS = make_log()
NOTED_TEXT, MEASURED_TEXT, CONSULTED_TEXT, ACKNOWLEDGED_TEXT = TEXTS[5:]


def put(text: str, path: str, value: Any) -> str:
    """The canonical text with one member, named `member` or `member.member`, set to a value."""
    entry = json.loads(text)
    *parents, last = path.split(".")
    holder = entry
    for name in parents:
        holder = holder[name]
    holder[last] = value
    return canonical(entry)


def drop(text: str, path: str) -> str:
    """The canonical text without one member."""
    entry = json.loads(text)
    *parents, last = path.split(".")
    holder = entry
    for name in parents:
        holder = holder[name]
    del holder[last]
    return canonical(entry)


def bad(name: str, says: str, text: str | bytes, error: str = "EntryError") -> Json:
    """A defective vector: `says` is part of what our refusal says, so that a test can tell that it
    was refused for this defect."""
    return {"name": name, "error": error, "says": says, **given(text)}


def repeated(before: str, unit: str, times: int, after: str) -> Json:
    """The members that carry a text too long to be written out."""
    return {"before": before, "repeat": unit, "times": times, "after": after}


def entry_bytes(case: Json) -> bytes:
    """The bytes of a case, in whichever way they are given."""
    if "repeat" in case:
        text: str = case["before"] + case["repeat"] * case["times"] + case["after"]
        return text.encode()
    return bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()
