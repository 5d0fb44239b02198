"""Make the vectors in tests/vectors/entries: good ones, and one for every defect, named after it.

    python -m tests.vectors.make_entries

An entry is given as text, in hexadecimal ("hex") where it is not UTF-8, or as "before", then
"repeat" so many "times", then "after", where it is long. Every case in a "bad" list carries the
error class that must refuse it, and what our refusal "says". All files are ASCII.
"""

import base64
import io
import json
import struct
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger_verifier.formats.bundle import (
    BundleReader,
    CaseManifest,
    write_bundle,
    write_case_bundle,
)
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.merkle import leaf_hashes, prove_inclusion, root_of
from ledger_verifier.formats.tiles import encode_entries, encode_hashes
from tests.vectors.c2sp_base import LOG, ORIGIN, Json, nodes, signed
from tests.vectors.entries_bad import disclosures as bad_disclosures
from tests.vectors.entries_bad import encodings, members
from tests.vectors.entries_base import (
    CASE,
    DISCLOSURES,
    MEASURED_TEXT,
    NOTED_TEXT,
    TEXTS,
    digest,
    disclosure,
    entry_bytes,
    link_hash,
    put,
    repeated,
    uuid_of,
)
from tests.vectors.entries_schemas import held_against, kinds, registrations

HERE = Path(__file__).resolve().parent / "entries"

CASE_POSITIONS = (5, 6, 8)
REGISTRATION_POSITIONS = (0, 1, 2, 3)


def make_entries() -> Json:
    good: list[Json] = [
        {"name": f"position-{position}", "text": text} for position, text in enumerate(TEXTS)
    ]
    padded = put(NOTED_TEXT, "data.pad", "here")
    before, _, after = padded.partition("here")
    edges = {
        "uuid-version-7": put(NOTED_TEXT, "id", uuid_of("seven", 7)),
        "29-february-of-2024": put(NOTED_TEXT, "occurred_at", "2024-02-29"),
        "last-instant": put(NOTED_TEXT, "occurred_at", "9999-12-31T23:59:59.999Z"),
        "largest-integers": put(NOTED_TEXT, "data.pad", [2**53 - 1, 1 - 2**53]),
        "every-escape": put(NOTED_TEXT, "data.pad", "\b\t\n\f\r\x00\x1f\x7f\"\\/'<>&"),
        "beyond-ascii": put(NOTED_TEXT, "data.pad", "é€😀\u2028\u2029\ufffe"),
        "combining-mark-after-newline": put(NOTED_TEXT, "data.pad", "\n\u0303"),
        "combining-mark-first": put(NOTED_TEXT, "data.pad", "\u0301"),
        "codes-of-2-and-40": put(put(NOTED_TEXT, "source", "x-"), "organisation", "0" * 40),
        "type-of-64-characters": put(NOTED_TEXT, "type", "example." + "n" * 56),
        "schema-9999": put(NOTED_TEXT, "schema", 9999),
        "law-enforcement": put(NOTED_TEXT, "regime", "dpa_part3"),
        "version-2-53-minus-1": put(MEASURED_TEXT, "stream.version", 2**53 - 1),
        "nested-to-the-limit": before[:-1] + "[" * 15 + "]" * 15 + after[1:],
    }
    good += [{"name": name, "text": text} for name, text in edges.items()]
    room = 65_535 - len(before) - len(after)
    good.append({"name": "65535-bytes", **repeated(before, "x", room, after)})
    for case in good:
        raw = entry_bytes(case)
        case["leaf_hash"] = sha256(b"\0" + raw).hexdigest()
        case["link_hash"] = link_hash(raw.decode())
    return {"good": good, "bad": encodings() + members()}


def make_disclosures() -> Json:
    others = {
        "absent": None,
        "flag": True,
        "list": ["one", "two"],
        "object": {"b": [1, -1], "a": {}},
        "line-of-marks": "\n\u0303",
    }
    good = [item for items in DISCLOSURES.values() for item in items]
    good += [disclosure("other", name.replace("-", "_"), value) for name, value in others.items()]
    return {"good": good, "bad": bad_disclosures()}


def make_schemas() -> Json:
    return {"kinds": kinds(), "registrations": registrations(), "entries": held_against()}


def make_bundles() -> Json:
    raw = [text.encode() for text in TEXTS]
    leaves = leaf_hashes(raw)
    size = len(leaves)
    checkpoint = Checkpoint(ORIGIN, size, root_of(leaves))
    note = signed(checkpoint.text, LOG.sign(checkpoint.text)).encode()
    log, case = io.BytesIO(), io.BytesIO()
    write_bundle(
        log,
        [
            ("checkpoint", note),
            (f"tile/0/000.p/{size}", encode_hashes(leaves)),
            (f"tile/entries/000.p/{size}", encode_entries(raw)),
        ],
    )
    manifest = CaseManifest(ORIGIN, f"case/{CASE}", size, CASE_POSITIONS, REGISTRATION_POSITIONS)
    included = {
        position: (raw[position], prove_inclusion(position, size, nodes(leaves)))
        for position in (*CASE_POSITIONS, *REGISTRATION_POSITIONS)
    }
    opened = {5: [item["text"] for item in DISCLOSURES[5]], 6: [DISCLOSURES[6][0]["text"]]}
    write_case_bundle(case, manifest, note, included, opened)
    return {
        "key": LOG.key.vkey,
        "origin": ORIGIN,
        "size": size,
        "root": checkpoint.root.hex(),
        "log": _bundle(log),
        "case": _bundle(case),
    }


def _bundle(file: io.BytesIO) -> Json:
    raw = file.getvalue()
    return {
        "members": list(BundleReader(file).names),
        "sha256": sha256(raw).hexdigest(),
        "base64": base64.b64encode(raw).decode(),
    }


def make_sealed() -> Json:
    """One sealed row of each class, as the service stores them."""
    entry = json.loads(MEASURED_TEXT)
    by_field = {item["field"]: item["text"] for item in DISCLOSURES[6]}
    rows = []
    for key_class, fields in {"subject": ("age_band", "reason"), "attribution": ("panel",)}.items():
        parts = ("hub-ledger/sealed@v1", ORIGIN, entry["source"], entry["id"], f"case/{CASE}")
        bound = b"".join(
            struct.pack(">I", len(part)) + part.encode() for part in (*parts, key_class)
        )
        key, nonce = digest(f"key {key_class}"), digest(f"row {key_class}")[:12]
        plain = "\n".join(by_field[field] for field in fields)
        sealed = AESGCM(key).encrypt(nonce, plain.encode(), bound)
        rows.append(
            {
                "key_class": key_class,
                "key": key.hex(),
                "associated_data": bound.hex(),
                "plaintext": plain,
                "row": (nonce + sealed).hex(),
            }
        )
    return {
        "origin": ORIGIN,
        "source": entry["source"],
        "id": entry["id"],
        "stream": f"case/{CASE}",
        "rows": rows,
    }


def build() -> dict[str, str]:
    """Return the text of every vector file by its name."""
    made = {
        "entries.json": make_entries(),
        "disclosures.json": make_disclosures(),
        "schemas.json": make_schemas(),
        "bundles.json": make_bundles(),
        "sealed.json": make_sealed(),
    }
    return {name: json.dumps(content, indent=1) + "\n" for name, content in made.items()}


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, text in build().items():
        (HERE / name).write_text(text, "utf-8")
