"""Vectors of the byte formats: `public` from the specifications, `c2sp` made by `make_c2sp`."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def load(name: str) -> Any:
    """Return the content of a vector file: `load("public/note.json")`."""
    return json.loads((HERE / name).read_text("utf-8"))


def raw(case: dict[str, Any]) -> bytes:
    """Return the bytes that a case gives as text or in hexadecimal."""
    return bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()


def name_of(case: dict[str, Any]) -> str:
    """Return the name of a case, for use as a test's id."""
    return str(case["name"])
