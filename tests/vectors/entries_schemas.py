"""Registrations and the entries held against them: good ones, and one for every defect."""

from typing import Any

from tests.vectors.c2sp_base import LOG, Json
from tests.vectors.entries_base import (
    ACKNOWLEDGED_TEXT,
    CASE,
    CONSULTED_TEXT,
    MEASURED,
    MEASURED_TEXT,
    NOTED_TEXT,
    TEXTS,
    b64url,
    bad,
    digest,
    drop,
    put,
    uuid_of,
)

HEX = digest("x").hex()

#: For each kind of open field: values it accepts, values it refuses.
KINDS: dict[str, tuple[list[Any], list[Any]]] = {
    "uuid": (
        [uuid_of("a"), uuid_of("a", 7)],
        [None, uuid_of("a").upper(), uuid_of("a", 1), "", [], {}, 0],
    ),
    "date": (
        ["2026-11-02", "2024-02-29"],
        ["2026-02-29", "2026-11-2", "2026-11-02T09:00:00.000Z", None, 20261102],
    ),
    "instant": (
        ["2026-11-02T09:00:00.000Z"],
        ["2026-11-02", "2026-11-02T09:00:00Z", "2026-11-02T23:59:60.000Z", None],
    ),
    "count": ([0, 1, 2**53 - 1], [-1, True, "1", None, []]),
    "flag": ([True, False], [0, 1, "true", None]),
    "sha256": ([HEX], [HEX.upper(), HEX[1:], b64url(digest("x")), None]),
    "code:no": (["no"], ["yes", "No", "", None, ["no"], False]),
    "code:3-months|a|other": (["a", "3-months"], ["b", "a|other", "3-month"]),
    "uuid?": ([None, uuid_of("a")], ["", []]),
    "date[]": ([[], ["2026-11-02"], ["2026-11-02"] * 64], [["2026-11-02"] * 65, None, [None]]),
    "count[]": ([[0, 0]], [0, [[0]], [True]]),
    "flag[]?": ([None, [True]], [[None], True]),
    "code[]:a|b": ([[], ["b", "a"]], ["a", ["c"], ["a", None], None]),
    "code?:a": ([None, "a"], ["", "b"]),
    "code[]?:a": ([None, [], ["a"]], ["a", [None]]),
}
BAD_KINDS = [
    "",
    "text",
    "string",
    "UUID",
    "code",
    "code:",
    "code[]",
    "code:A",
    "code:a b",
    "code:a_b",
    "code:a|",
    "code:|a",
    "code:a||b",
    "code:-a",
    "code:a-",
    "code:a|a",
    "code:" + "a" * 65,
    "uuid:a",
    "uuid?[]",
    "uuid[][]",
    "uuid??",
    "uuid ",
    "uuid\n",
    "code:a\n",
    "code:a?",
]


def kinds() -> Json:
    good = {kind: {"accepts": yes, "refuses": no} for kind, (yes, no) in KINDS.items()}
    return {"good": good, "bad": BAD_KINDS}


#: Changes to the data of a good registration, and the field that a refusal names.
_REGISTRATION: dict[str, tuple[str, str, Any]] = {
    "type-of-one-word": ("data.type", "type", "example"),
    "type-a-list": ("data.type", "type", []),
    "type-reserved": ("registered already", "type", "ledger.opened"),
    "type-registered-already": ("registered already", "schema", 2),
    "schema-0": ("data.schema", "schema", 0),
    "schema-true": ("data.schema", "schema", True),
    "no-stream": ("data.streams", "streams", []),
    "stream-unknown": ("data.streams", "streams", ["person"]),
    "stream-repeated": ("data.streams", "streams", ["case", "case"]),
    "stream-a-list": ("data.streams", "streams", [["case"]]),
    "streams-a-string": ("data.streams", "streams", "case"),
    "occurred-unknown": ("data.occurred", "occurred", "time"),
    "occurred-a-list": ("data.occurred", "occurred", ["date"]),
    "recipient-null": ("data.recipient", "recipient", None),
    "open-a-list": ("data.open", "open", ["flagged"]),
    "open-name-upper-case": ("data.open", "open", {"Flagged": "flag"}),
    "open-name-reserved": ("data.open", "open", {"_sd": "flag"}),
    "open-kind-unknown": ("unknown kind", "open", {"flagged": "text"}),
    "open-kind-a-list": ("data.open", "open", {"flagged": ["flag"]}),
    "open-field-also-sealed": ("both open and sealed", "open", {"reason": "flag"}),
    "sealed-null": ("data.sealed", "sealed", None),
    "sealed-class-unknown": ("data.sealed", "sealed", {"reason": "secret"}),
    "sealed-class-open": ("data.sealed", "sealed", {"reason": "open"}),
    "sealed-class-a-list": ("data.sealed", "sealed", {"reason": ["personal"]}),
    "sealed-name-empty": ("data.sealed", "sealed", {"": "personal"}),
    "digest-upper-case": ("data.json_schema_sha256", "json_schema_sha256", HEX.upper()),
    "a-commitment": ("other members", "_sd", [b64url(digest("x"))]),
    "member-unknown": ("other members", "colour", "red"),
}


def registrations() -> Json:
    good = put(put(TEXTS[2], "data.schema", 3), "id", uuid_of("a later registration"))
    changed = [
        bad(name, says, put(good, f"data.{field}", value))
        for name, (says, field, value) in _REGISTRATION.items()
    ]
    recipient = TEXTS[3]
    for name, says, path, value in (
        ("recipient-of-no-category", "data.open", "data.open", {}),
        ("recipient-of-any-category", "data.open", "data.open.recipient_category", "uuid"),
        ("recipient-of-categories", "data.open", "data.open.recipient_category", "code[]:school"),
        ("recipient-with-source-as-personal", "data.sealed", "data.sealed.true_source", "personal"),
    ):
        changed.append(bad(name, says, put(put(recipient, "data.schema", 2), path, value)))
    for name in ("true_actor", "true_organisation", "true_source", "true_submitted_by"):
        text = drop(put(recipient, "data.schema", 2), f"data.sealed.{name}")
        changed.append(bad(f"recipient-without-{name.replace('_', '-')}", "data.sealed", text))
    missing = [
        bad(f"{name}-missing", "other members", drop(good, f"data.{name}")) for name in MEASURED
    ]
    return {"good": [{"name": "measured-schema-3", "text": good}], "bad": changed + missing}


#: Entries that are refused only once the registrations are known: the entry that is changed, the
#: member, its new value, and what a refusal says.
_CHANGES: dict[str, tuple[str, str, Any, str]] = {
    "type-not-registered": (NOTED_TEXT, "type", "example.drawn", "type: not registered"),
    "schema-not-registered": (NOTED_TEXT, "schema", 2, "type: not registered"),
    "wrong-kind-of-stream": (NOTED_TEXT, "stream.kind", "content", "stream.kind"),
    "instant-where-date-is-declared": (
        NOTED_TEXT,
        "occurred_at",
        "2026-11-02T09:00:00.000Z",
        "occurred_at",
    ),
    "date-where-instant-is-declared": (MEASURED_TEXT, "occurred_at", "2026-11-02", "occurred_at"),
    "field-not-registered": (NOTED_TEXT, "data.colour", "red", "data: has not exactly"),
    "code-not-listed": (NOTED_TEXT, "data.purpose", "enforcement", "data.purpose"),
    "code-null": (NOTED_TEXT, "data.purpose", None, "data.purpose"),
    "code-a-list": (NOTED_TEXT, "data.purpose", ["support"], "data.purpose"),
    "flag-a-number": (NOTED_TEXT, "data.flagged", 1, "data.flagged"),
    "instant-a-date": (MEASURED_TEXT, "data.at", "2026-11-02", "data.at"),
    "date-of-no-calendar": (MEASURED_TEXT, "data.due", "2026-02-30", "data.due"),
    "digest-in-upper-case": (MEASURED_TEXT, "data.document", HEX.upper(), "data.document"),
    "uuid-of-version-1": (MEASURED_TEXT, "data.reference", uuid_of("a", 1), "data.reference"),
    "list-with-null": (MEASURED_TEXT, "data.related", [None], "data.related"),
    "count-negative": (MEASURED_TEXT, "data.shown", -1, "data.shown"),
    "count-a-string": (MEASURED_TEXT, "data.shown", "1", "data.shown"),
    "list-of-65": (MEASURED_TEXT, "data.categories", ["health"] * 65, "data.categories"),
    "list-a-code": (MEASURED_TEXT, "data.categories", "health", "data.categories"),
    "digest-too-many": (CONSULTED_TEXT, "data._sd", [b64url(digest("x"))], "data._sd"),
    "digest-too-few": (NOTED_TEXT, "data._sd", [], "data._sd"),
    "hub-without-actor": (NOTED_TEXT, "actor", None, "actor"),
    "hub-without-submitter": (NOTED_TEXT, "submitted_by", None, "actor"),
    "hub-without-regime": (NOTED_TEXT, "regime", None, "actor"),
    "service-of-another-type": (
        NOTED_TEXT,
        "source",
        "hub-ledger",
        "source: the ledger itself",
    ),
    "recipient-with-actor": (ACKNOWLEDGED_TEXT, "actor", CASE, "source"),
    "recipient-with-submitter": (ACKNOWLEDGED_TEXT, "submitted_by", CASE, "source"),
    "recipient-with-true-source": (ACKNOWLEDGED_TEXT, "source", "example-school", "source"),
    "recipient-with-true-organisation": (
        ACKNOWLEDGED_TEXT,
        "organisation",
        "example-school",
        "source",
    ),
    "recipient-of-another-category": (
        ACKNOWLEDGED_TEXT,
        "data.recipient_category",
        "police",
        "source",
    ),
    "reserved-type-by-another-source": (TEXTS[1], "source", "example-cases", "service alone"),
    "reserved-type-of-an-organisation": (TEXTS[1], "organisation", "example", "service alone"),
    "reserved-type-of-a-hub": (TEXTS[1], "hub", "E09000023", "service alone"),
    "reserved-type-with-actor": (TEXTS[1], "actor", CASE, "service alone"),
    "reserved-type-with-submitter": (TEXTS[1], "submitted_by", CASE, "service alone"),
    "reserved-type-with-regime": (TEXTS[1], "regime", "uk_gdpr", "service alone"),
    "reserved-type-in-a-case": (TEXTS[1], "stream.kind", "case", "reserved type"),
    "reserved-type-of-schema-2": (TEXTS[0], "schema", 2, "reserved type"),
    "reserved-type-on-a-date": (TEXTS[0], "occurred_at", "2026-11-02", "occurred_at"),
    "opened-with-a-digest": (TEXTS[0], "data._sd", [b64url(digest("x"))], "data: "),
    "opened-with-another-member": (TEXTS[0], "data.colour", "red", "data: "),
    "opened-without-origin": (TEXTS[0], "data.origin", "", "data.origin"),
    "opened-with-a-long-origin": (TEXTS[0], "data.origin", "x" * 256, "data.origin"),
    "opened-without-keys": (TEXTS[0], "data.keys", [], "data.keys"),
    "opened-with-one-key-for-a-list": (TEXTS[0], "data.keys", LOG.key.vkey, "data.keys"),
    "opened-with-a-null-key": (TEXTS[0], "data.keys", [None], "data.keys"),
    "opened-with-a-text-for-predecessor": (TEXTS[0], "data.predecessor", "x", "data.predecessor"),
}


def held_against() -> Json:
    """Entries as held against the registrations of the log in bundles.json."""
    changed = [
        bad(name, says, put(text, path, value))
        for name, (text, path, value, says) in _CHANGES.items()
    ]
    return {
        "good": [
            {"name": "null-where-allowed", "text": put(MEASURED_TEXT, "data.stage", None)},
            {"name": "empty-list", "text": put(MEASURED_TEXT, "data.categories", [])},
            {"name": "other-kind-of-stream", "text": put(MEASURED_TEXT, "stream.kind", "content")},
            {"name": "service-for-a-person", "text": put(CONSULTED_TEXT, "actor", CASE)},
        ],
        "bad": [
            *changed,
            bad("field-missing", "data: has not exactly", drop(NOTED_TEXT, "data.flagged")),
            bad(
                "field-of-another-name",
                "data.flagged: missing",
                put(drop(NOTED_TEXT, "data.flagged"), "data.colour", True),
            ),
            bad("opened-without-predecessor", "data: ", drop(TEXTS[0], "data.predecessor")),
        ],
    }
