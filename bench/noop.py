"""The yardstick: an aiohttp handler that reads the body and answers, and does nothing else."""

import asyncio
import sys

from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """Read and answer."""
    await request.read()
    return web.Response(body=b"{}", content_type="application/json", status=201)


async def serve() -> None:
    """Serve on a free port, which is printed once requests are answered, until killed."""
    app = web.Application()
    app.router.add_post("/v1/events", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
