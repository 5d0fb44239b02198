"""Sealed rows against fixed vectors: what a row is bound to, and what opens it."""

from typing import Any

import pytest

from ledger.errors import VaultUnavailable
from ledger.vault.sealing import associated_data, open_sealed, seal
from ledger_verifier.formats.disclosure import Disclosure
from tests.vectors import load

VECTORS = load("entries/sealed.json")
ROWS = VECTORS["rows"]


def bound(row: dict[str, Any], **changed: str) -> bytes:
    about = {name: VECTORS[name] for name in ("origin", "source", "id", "stream")} | changed
    key_class = about.get("key_class", row["key_class"])
    return associated_data(
        about["origin"], about["source"], about["id"], about["stream"], key_class
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["key_class"]))
def test_a_row_opens_to_the_disclosures_it_holds(row: dict[str, Any]) -> None:
    assert bound(row).hex() == row["associated_data"]
    opened = open_sealed(bytes.fromhex(row["key"]), bound(row), bytes.fromhex(row["row"]))
    assert "\n".join(disclosure.text for disclosure in opened) == row["plaintext"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["key_class"]))
def test_it_opens_nowhere_else(row: dict[str, Any]) -> None:
    key, raw = bytes.fromhex(row["key"]), bytes.fromhex(row["row"])
    other = {"key_class": "other", **{name: VECTORS[name] + "x" for name in ("origin", "source")}}
    other |= {"id": VECTORS["stream"], "stream": VECTORS["id"]}
    for name, value in other.items():
        with pytest.raises(VaultUnavailable):
            open_sealed(key, bound(row, **{name: value}), raw)
    # A letter moved from one part to the next: the lengths tell them apart.
    moved = {"origin": VECTORS["origin"] + "e", "source": VECTORS["source"][1:]}
    with pytest.raises(VaultUnavailable):
        open_sealed(key, bound(row, **moved), raw)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["key_class"]))
def test_a_changed_row_does_not_open(row: dict[str, Any]) -> None:
    key, raw = bytes.fromhex(row["key"]), bytes.fromhex(row["row"])
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(VaultUnavailable):
            open_sealed(key, bound(row), changed)
    for cut in (b"", raw[:5], raw[:12], raw[:27], raw[:-1], raw + b"\0"):
        with pytest.raises(VaultUnavailable):
            open_sealed(key, bound(row), cut)


def test_sealing_twice_gives_different_rows_of_the_same_content() -> None:
    key, about = bytes(32), b"about"
    disclosures = [Disclosure.make("reason", "x"), Disclosure.make("grounds", None)]
    one, two = (seal(key, about, disclosures) for _ in range(2))
    assert one != two
    assert open_sealed(key, about, one) == open_sealed(key, about, two) == disclosures
    assert open_sealed(key, about, seal(key, about, [])) == []
