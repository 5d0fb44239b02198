"""Make the vectors in tests/vectors/c2sp: good ones, and one for every defect, named after it.

    python -m tests.vectors.make_c2sp

Keys are SHA-256 of a fixed label and the leaves are fixed, so the files come out the same each
time. ML-DSA-44 signatures are randomised: the ones already in checkpoints.json are kept for as
long as they still verify, and only otherwise made anew.

Text is given as it is, or in hexadecimal ("hex") where it is not UTF-8. Every case in a "bad" list
carries the error class that must refuse it.
"""

import json
from pathlib import Path

from ledger_verifier.formats.checkpoint import Checkpoint, MLDSA44Cosigner, verify_line
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.formats.merkle import EMPTY_ROOT, root_of
from ledger_verifier.formats.note import SignatureLine
from tests.vectors.c2sp_base import (
    LEAVES,
    LOG,
    LOG_MLDSA,
    ORIGIN,
    SIZE,
    STRANGER,
    TIME,
    WITNESS,
    WITNESS_MLDSA,
    Edit,
    Json,
    defects,
    following,
    raw,
    signed,
    swap,
)
from tests.vectors.c2sp_trees import make_policies, make_proofs, make_tiles

HERE = Path(__file__).resolve().parent / "c2sp"


def make_notes() -> Json:
    text = "First line.\n\nAfter an empty line: naïve café.\n"
    good = signed(text, LOG.sign(text), STRANGER.sign(text))
    line = LOG.sign(text).encode()
    encoded = line.rsplit(" ", 1)[1]
    many = signed(text, *[LOG.sign(text)] * 64)
    loose = encoded[:-2] + chr(ord(encoded[-2]) + 1) + "="
    edits: dict[str, Edit] = {
        "empty": lambda _: "",
        "no-empty-line": lambda _: text.replace("\n\n", "\n") + line + "\n",
        "no-signature": lambda _: text + "\n",
        "no-final-newline": lambda note: note[:-1],
        "trailing-empty-line": lambda note: note + "\n",
        "trailing-text": lambda note: note + "more\n",
        "carriage-returns": lambda note: note.replace("\n", "\r\n"),
        "control-character": swap("First", "Fi\x07rst"),
        "tab": swap("First line", "First\tline"),
        "not-utf-8": raw("é".encode(), b"\xe9"),
        "overlong-utf-8": raw(b"First", b"\xc0\xaf"),
        "hyphen-for-dash": swap("— ", "- "),
        "two-spaces-after-dash": swap("— ", "—  "),
        "space-in-name": swap("— ledger.example", "— ledger example"),
        "no-break-space-in-name": swap("— ledger.example", "— ledger\u00a0example"),
        "plus-in-name": swap("— ledger.example", "— ledger+example"),
        "empty-name": swap(f"— {ORIGIN} ", "—  "),
        "name-over-255-bytes": swap(f"— {ORIGIN} ", f"— {'n' * 256} "),
        "no-signature-bytes": swap(f" {encoded}", ""),
        "key-id-alone": swap(encoded, encoded[:4] + "AA=="),
        "base64-without-padding": swap(encoded, encoded.rstrip("=")),
        "base64-with-loose-trailing-bits": swap(encoded, loose),
        "base64url": swap(encoded, "-_" + encoded[2:]),
        "base64-with-space": swap(encoded, encoded[:8] + " " + encoded[8:]),
        "65-signatures": lambda _: many + line + "\n",
    }
    return {
        "key": LOG.key.vkey,
        "good": [
            {"name": "two-signatures", "text": good, "body": text},
            {"name": "64-signatures", "text": many, "body": text},
            {"name": "body-is-one-empty-line", "text": signed("\n", LOG.sign("\n")), "body": "\n"},
        ],
        "bad": defects(good, edits, "NoteError"),
    }


def make_vkeys() -> Json:
    good = LOG.key.vkey
    name, key_id, encoded = good.split("+", 2)
    other_type = WITNESS.key.vkey.split("+", 2)[2]
    edits: dict[str, Edit] = {
        "two-parts": lambda _: f"{name}+{key_id}",
        "empty-name": lambda _: f"+{key_id}+{encoded}",
        "space-in-name": swap("ledger.", "ledger "),
        "other-name": swap("ledger.", "ledges."),
        "upper-case-id": lambda _: f"{name}+{key_id.upper()}+{encoded}",
        "short-id": lambda _: f"{name}+{key_id[1:]}+{encoded}",
        "wrong-id": lambda _: f"{name}+00000000+{encoded}",
        "key-of-another-id": lambda _: f"{name}+{key_id}+{other_type}",
        "unknown-type": lambda _: f"{name}+{key_id}+Av{encoded[2:]}",
        "empty-key": lambda _: f"{name}+{key_id}+",
        "short-key": lambda _: f"{name}+{key_id}+{encoded[:-4]}",
        "trailing-newline": lambda vkey: vkey + "\n",
    }
    keys = (LOG.key, LOG_MLDSA.key, WITNESS.key, WITNESS_MLDSA.key)
    return {
        "good": [
            {"vkey": key.vkey, "type": key.sig_type, "key_id": f"{key.key_id:08x}"} for key in keys
        ],
        "bad": defects(good, edits, "NoteError"),
    }


def kept_cosignature(cosigner: MLDSA44Cosigner, checkpoint: Checkpoint, name: str) -> Json:
    """Return the randomised line kept under this name, or a new one if it no longer verifies."""
    path = HERE / "checkpoints.json"
    kept = json.loads(path.read_text("utf-8"))["randomised"] if path.exists() else {}
    try:
        line = SignatureLine.parse(kept.get(name, ""))
        verify_line(cosigner.key, checkpoint, line)
    except FormatError:
        line = cosigner.cosign(checkpoint, TIME)
    return {name: line.encode()}


def make_checkpoints() -> Json:
    checkpoint = Checkpoint(ORIGIN, SIZE, root_of(LEAVES))
    other = Checkpoint(ORIGIN, SIZE, LEAVES[0])
    extended = Checkpoint(ORIGIN, SIZE, root_of(LEAVES), ("an extension line",))
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    randomised = kept_cosignature(LOG_MLDSA, checkpoint, "log")
    randomised |= kept_cosignature(WITNESS_MLDSA, checkpoint, "w2")
    log_mldsa = SignatureLine.parse(randomised["log"])
    w2 = SignatureLine.parse(randomised["w2"])
    log, w1 = LOG.sign(checkpoint.text), WITNESS.cosign(checkpoint, TIME)
    stranger = STRANGER.sign(checkpoint.text)

    def opened(name: str, text: str, *signers: str) -> Json:
        return {"name": name, "text": text, "signers": signers}

    def refused(name: str, text: str, error: str = "CheckpointError") -> Json:
        return {"name": name, "error": error, "text": text}

    late = SignatureLine(w1.name, w1.key_id, (2**63).to_bytes(8) + w1.signature[8:])
    moved = SignatureLine(w2.name, w2.key_id, bytes(8) + w2.signature[8:])
    short = SignatureLine(w2.name, w2.key_id, w2.signature[:-1])
    return {
        "origin": ORIGIN,
        "size": SIZE,
        "root": root_of(LEAVES).hex(),
        "timestamp": TIME,
        "keys": {
            "log": LOG.key.vkey,
            "log-mldsa": LOG_MLDSA.key.vkey,
            "w1": WITNESS.key.vkey,
            "w2": WITNESS_MLDSA.key.vkey,
        },
        "randomised": randomised,
        "good": [
            opened("log-alone", signed(checkpoint.text, log), "log"),
            opened("unknown-signature-ignored", signed(checkpoint.text, stranger, log), "log"),
            opened(
                "log-and-witnesses",
                signed(checkpoint.text, log, log_mldsa, w1, w2),
                *("log", "log-mldsa", "w1", "w2"),
            ),
            opened("extension-line", signed(extended.text, LOG.sign(extended.text)), "log"),
            opened("size-0", signed(empty.text, LOG.sign(empty.text)), "log"),
        ],
        "bad": [
            refused("no-known-signature", signed(checkpoint.text, stranger)),
            refused("log-signature-of-another-root", signed(other.text, log)),
            refused("one-bad-signature-among-good", signed(other.text, LOG.sign(other.text), w1)),
            refused("mldsa-signature-of-another-root", signed(other.text, log_mldsa)),
            refused("extension-line-under-mldsa", signed(extended.text, log_mldsa)),
            refused("timestamp-over-2-63", signed(checkpoint.text, log, late)),
            refused("timestamp-changed", signed(checkpoint.text, log, moved)),
            refused("mldsa-signature-too-short", signed(checkpoint.text, log, short)),
            *(refused(name, _sign_text(text)) for name, text in _bad_bodies(checkpoint).items()),
        ],
    }


def _sign_text(text: str) -> str:
    return signed(text, LOG.sign(text))


def _bad_bodies(checkpoint: Checkpoint) -> dict[str, str]:
    origin, size, root = checkpoint.text.splitlines()
    return {
        "two-lines": f"{origin}\n{size}\n",
        "empty-origin": f"\n{size}\n{root}\n",
        "size-with-leading-zero": f"{origin}\n0{size}\n{root}\n",
        "size-with-sign": f"{origin}\n+{size}\n{root}\n",
        "size-with-space": f"{origin}\n {size}\n{root}\n",
        "size-in-arabic-digits": f"{origin}\n١١\n{root}\n",
        "size-over-2-63": f"{origin}\n{2**63}\n{root}\n",
        "size-of-5000-digits": f"{origin}\n{'9' * 5000}\n{root}\n",
        "empty-size": f"{origin}\n\n{root}\n",
        "short-root": f"{origin}\n{size}\n{root[:-4]}\n",
        "root-with-loose-trailing-bits": f"{origin}\n{size}\n{root[:-2]}{following(root[-2])}=\n",
        "root-in-hexadecimal": f"{origin}\n{size}\n{checkpoint.root.hex()}\n",
        "empty-extension-line": f"{origin}\n{size}\n{root}\n\nextension\n",
        "size-0-with-a-root": f"{origin}\n0\n{root}\n",
    }


def build() -> dict[str, str]:
    """Return the text of every vector file by its name."""
    made = {
        "notes.json": make_notes(),
        "vkeys.json": make_vkeys(),
        "checkpoints.json": make_checkpoints(),
        "proofs.json": make_proofs(),
        "tiles.json": make_tiles(),
        "policies.json": make_policies(),
    }
    return {
        name: json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        for name, content in made.items()
    }


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for name, text in build().items():
        (HERE / name).write_text(text, "utf-8")
