"""What one run leaves for the next, so that only what is new need be read.

Guarantees: what `unpack` accepts is what `pack` gave, byte for byte (it is under a digest). That
says nothing about who wrote it: it is worth what the file is worth that it was kept in.
"""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import orjson

from ledger_verifier.audit.heads import Heads, PackedHeadsError
from ledger_verifier.formats.merkle import HASH_SIZE
from ledger_verifier.formats.tiles import TILE_HEIGHT, TILE_WIDTH

MEMBERS: Final = frozenset(
    {
        "checkpoints",
        "definitions",
        "heads",
        "policy",
        "recorded",
        "root",
        "rows",
        "sha256",
        "size",
        "verifier",
    }
)


class ResumeError(ValueError):
    """This is not what an earlier run left."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The first `size` entries, which had this root, as a run left them: `rows`, the cells of the
    partial hash tiles above the leaves, for the entries up to the last full bundle; when the last
    entry was recorded, and its position; the entries that define the log; `heads`, packed."""

    size: int
    root: bytes
    rows: tuple[bytes, ...]
    recorded: tuple[str, int]
    definitions: tuple[tuple[int, bytes], ...]
    heads: bytes


@dataclass(frozen=True, slots=True)
class Binding:
    """What the result of a run holds for: the policy and the verifier (their digests), and the
    signed checkpoints (theirs) that the entries were found to agree with."""

    policy: str
    verifier: str
    checkpoints: frozenset[str]


def pack(resume: Resume, binding: Binding) -> dict[str, Any]:
    """The members of a JSON object; the heads themselves are kept beside it."""
    value = {
        "size": resume.size,
        "root": resume.root.hex(),
        "rows": [base64.b64encode(row).decode() for row in resume.rows],
        "recorded": list(resume.recorded),
        "definitions": [[position, raw.decode()] for position, raw in resume.definitions],
        "heads": len(resume.heads),
        "policy": binding.policy,
        "verifier": binding.verifier,
        "checkpoints": sorted(binding.checkpoints),
    }
    return {**value, "sha256": _digest(value, resume.heads)}


def unpack(value: Any, heads: bytes) -> tuple[Resume, Binding]:
    """Read what `pack` gave; raises ResumeError."""
    if not isinstance(value, dict) or value.keys() != MEMBERS:
        raise ResumeError("has other members than it should")
    rest = {name: member for name, member in value.items() if name != "sha256"}
    if _digest(rest, heads) != value["sha256"]:
        raise ResumeError("was altered, or damaged: its digest does not match")
    try:
        Heads(heads)
        resume = Resume(
            int(value["size"]),
            bytes.fromhex(value["root"]),
            tuple(base64.b64decode(row, validate=True) for row in value["rows"]),
            (str(value["recorded"][0]), int(value["recorded"][1])),
            tuple((int(position), raw.encode()) for position, raw in value["definitions"]),
            heads,
        )
        binding = Binding(value["policy"], value["verifier"], frozenset(value["checkpoints"]))
    except (PackedHeadsError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise ResumeError("is not well formed") from error
    except binascii.Error as error:
        raise ResumeError("is not well formed") from error
    if list(map(len, resume.rows)) != _widths(resume.size):
        raise ResumeError("has other rows than a tree of its size")
    return resume, binding


def _widths(size: int) -> list[int]:
    """Bytes of the row of each level above the leaves, as CellTree keeps them: one row for every
    level that a full tile has given a cell to, which may have gone on to the level above."""
    widths = []
    level = 1
    while size >> (TILE_HEIGHT * level):
        widths.append(HASH_SIZE * ((size >> (TILE_HEIGHT * level)) % TILE_WIDTH))
        level += 1
    return widths


def _digest(value: dict[str, Any], heads: bytes) -> str:
    digest = sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    digest.update(b"\n")
    digest.update(heads)
    return digest.hexdigest()
