"""The HTTP server around the application: its log, and its answer to what is not HTTP.

Guarantees: a request that aiohttp cannot parse never reaches the application, and is answered as
every other refusal: a problem that quotes nothing of it. What the server logs says what happened
and where in the code, and nothing of any request: aiohttp's own messages and exceptions quote
request lines and headers.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

import structlog
from aiohttp import web

from api.app import SECURITY_HEADERS
from api.problems import internal_error, of_aiohttp, problem
from ledger.errorlog import frames_of

#: Seconds that requests under way have to finish once the server was told to stop.
GRACE: Final = 10.0
#: Seconds that an idle connection is kept open.
_KEEP_ALIVE: Final = 75.0

log = structlog.get_logger("hub_ledger.http.server")


class Runner(web.AppRunner):
    """Runs the application. A compressed body is handed on as it is, and refused there."""

    def __init__(self, app: web.Application) -> None:
        super().__init__(
            app,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=_KEEP_ALIVE,
            logger=_quiet_logger(),
            shutdown_timeout=GRACE,
        )

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        answer = server.request_handler

        async def answer_plainly(request: web.BaseRequest) -> web.StreamResponse:
            # aiohttp looks at Expect before the application's middlewares see the request, and
            # would repeat what it does not know.
            if request.headers.get("Expect", "100-continue").lower() != "100-continue":
                reply = of_aiohttp(web.HTTPExpectationFailed())
                reply.headers.update(SECURITY_HEADERS)
                return reply
            try:
                return await answer(request)
            except web.HTTPException as error:
                return of_aiohttp(error)

        server.request_handler = answer_plainly
        return server


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        protocol = super().__call__()
        protocol.__class__ = _Protocol
        return protocol


class _Protocol(web.RequestHandler):
    """aiohttp's protocol, but for the reply to what is not HTTP or failed outside the
    application."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        log_server_error("request not answered by the application", exc)
        if request.writer.output_size > 0:
            # As in aiohttp: the reply has begun, so the connection can only be dropped.
            raise ConnectionError("the reply has begun")
        if status >= 500:
            reply = internal_error()
        else:
            reply = problem("invalid-request", "The request is not HTTP/1.1 as RFC 9112 has it.")
        reply.headers.update(SECURITY_HEADERS)
        reply.force_close()
        return reply


def log_server_error(event: str, error: BaseException | None) -> None:
    """Log what happened without its message."""
    log.warning(
        event,
        error=None if error is None else type(error).__qualname__,
        frames=[] if error is None else frames_of(error),
    )


def log_stray_error(loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """For the event loop: what no task awaited, logged as the server's own errors are."""
    log_server_error("stray error", context.get("exception"))


class _Quiet(logging.Filter):
    """Passes on that something was logged, and withholds the message."""

    def filter(self, record: logging.LogRecord) -> bool:
        log_server_error("http server", record.exc_info[1] if record.exc_info else None)
        return False


def _quiet_logger() -> logging.Logger:
    logger = logging.getLogger("hub_ledger.http.server")
    if not any(isinstance(item, _Quiet) for item in logger.filters):
        logger.addFilter(_Quiet())
    return logger
