"""The yardstick: an aiohttp handler that reads the body and answers, and does nothing else."""

import sys

from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    """Read and answer."""
    await request.read()
    return web.Response(body=b"{}", content_type="application/json", status=201)


def main() -> None:
    """Serve on the port given."""
    app = web.Application()
    app.router.add_post("/v1/events", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)


if __name__ == "__main__":
    main()
