"""The log as C2SP tlog-tiles v0.1.0 has it: the checkpoint, hash tiles, entry bundles.

Guarantees: the checkpoint and hash tiles are public and say nothing of any entry; what is beyond
the committed tree is 404 and never cached, so that nobody keeps an answer that growth makes wrong.
"""

from typing import Final

from aiohttp import web

from api.door import CREDENTIAL, LEDGER
from api.parameters import actor_given, purpose_of
from api.replies import bytes_reply, text_reply
from api.routes.entries import LOG_PURPOSE_PARAMETER, READER_PARAMETER, RECORDING
from api.routing import Parameter, Reply, Route
from ledger.access import Operation
from ledger.errors import NotFound
from ledger_verifier.formats.errors import TileError
from ledger_verifier.formats.tiles import Tile

_ANYWHERE: Final = {"Access-Control-Allow-Origin": "*"}
_CHECKPOINT: Final = {"Cache-Control": "no-cache", **_ANYWHERE}
_IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable", **_ANYWHERE}
_PRIVATE: Final = {"Cache-Control": "private, no-store"}
_BINARY: Final = "application/octet-stream"


async def checkpoint(request: web.Request) -> web.StreamResponse:
    """The newest published checkpoint."""
    return text_reply(await request.app[LEDGER].checkpoint(), _CHECKPOINT)


async def tile(request: web.Request) -> web.StreamResponse:
    """A hash tile, full or partial."""
    return bytes_reply(await request.app[LEDGER].tile(_tile(request)), _BINARY, _IMMUTABLE)


async def entry_bundle(request: web.Request) -> web.StreamResponse:
    """An entry bundle: every kind of stream, for those who verify the whole log."""
    tile, actor, purpose = _tile(request), actor_given(request), purpose_of(request)
    raw = await request.app[LEDGER].entry_bundle(request[CREDENTIAL], tile, actor, purpose)
    return bytes_reply(raw, _BINARY, _PRIVATE)


def _tile(request: web.Request) -> Tile:
    level = request.match_info.get("level", "entries")
    try:
        found = Tile.parse(f"tile/{level}/{request.match_info['index']}")
    except TileError:
        raise NotFound from None
    if (found.level is None) is not ("level" not in request.match_info):
        raise NotFound
    return found


_INDEX: Final = Parameter(
    "index",
    "path",
    "Index in groups of three digits, all but the last after x, and for a partial tile .p/ and "
    "its width: x001/067.p/5",
    {"type": "string"},
    required=True,
)

ROUTES: Final = (
    Route(
        "GET",
        "/checkpoint",
        checkpoint,
        "Read the newest published checkpoint",
        replies={200: Reply("A signed checkpoint", "text/plain; charset=utf-8")},
        problems=("not-found",),
    ),
    Route(
        "GET",
        "/tile/entries/{index:.+}",
        entry_bundle,
        "Read an entry bundle",
        operation=Operation.READ_BUNDLES,
        parameters=(_INDEX, READER_PARAMETER, LOG_PURPOSE_PARAMETER),
        replies={200: Reply("An entry bundle", _BINARY)},
        problems=("invalid-request", "purpose-required", "not-found", *RECORDING),
    ),
    Route(
        "GET",
        "/tile/{level}/{index:.+}",
        tile,
        "Read a hash tile",
        parameters=(
            Parameter(
                "level",
                "path",
                "Level of the tile, 0 to 63",
                {"type": "integer", "minimum": 0, "maximum": 63},
                required=True,
            ),
            _INDEX,
        ),
        replies={200: Reply("A hash tile", _BINARY)},
        problems=("not-found",),
    ),
)
