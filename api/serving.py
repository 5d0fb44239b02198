"""Serving a ledger over HTTP until told to stop, as `hub-ledger serve` does.

Guarantees: the line `listening on http://...` is printed once requests are answered; on SIGTERM or
SIGINT no new connection is taken, requests under way have ten seconds to finish, and the exit code
is 0; when the writer dies the service stops with exit code 1, so that a supervisor starts it
afresh, rather than refuse every event for ever. Standard error has one JSON object a line, with no
address, no query and no value of any request in it.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import structlog
import uvloop
from aiohttp import web

from api.app import build_app
from api.door import Door
from api.server import Runner, log_stray_error
from ledger.application import Ledger
from ledger.collector import settle
from ledger.errorlog import install

#: Connections that wait to be accepted, when many clients come at once.
_BACKLOG: Final = 1024

log = structlog.get_logger("hub_ledger.serve")


def run(data: Path, host: str, port: int, *, accept_clock: bool) -> int:
    """Serve a ledger; returns the exit code. Raises OSError when it cannot listen there, and what
    opening the ledger raises."""
    configure_logs()
    install()
    return uvloop.run(_serve(data, host, port, accept_clock))


async def _serve(data: Path, host: str, port: int, accept_clock: bool) -> int:
    async with Ledger.open(data, accept_clock=accept_clock) as ledger:
        settle()
        return await serve_app(ledger, host, port)


async def serve_app(
    ledger: Door, host: str, port: int, announce: Callable[[str], None] = click.echo
) -> int:
    """Answer requests until told to stop (0) or the writer is lost (1); `announce` is told the
    address once they are answered."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_stray_error)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    runner = Runner(build_app(ledger))
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
        await site.start()
        announce(f"listening on {_address(host, runner)}")
        stopping = asyncio.ensure_future(told.wait())
        await asyncio.wait({stopping, ledger.closed}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        lost = ledger.closed.done()
    finally:
        await runner.cleanup()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    if lost:
        log.error("the writer is lost; stopping")
    return 1 if lost else 0


def _address(host: str, runner: web.AppRunner) -> str:
    port = runner.addresses[0][1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def configure_logs() -> None:
    """One JSON object a line on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
