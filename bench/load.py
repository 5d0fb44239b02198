"""A bounded HTTP load: keep-alive connections, one request at a time on each.

The client speaks just enough HTTP/1.1 to be much cheaper than the server it measures. It runs in a
process of its own, sends a given list of bodies once, and reports every latency it saw.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of a load saw: requests, seconds, and latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    refused: int


async def _connection(
    host: str, port: int, head: bytes, bodies: "asyncio.Queue[bytes]", seen: list[float]
) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    refused = 0
    while True:
        try:
            body = bodies.get_nowait()
        except asyncio.QueueEmpty:
            break
        start = time.perf_counter()
        writer.write(head + b"%d\r\n\r\n" % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if length:
            await reader.readexactly(length)
        seen.append(time.perf_counter() - start)
        refused += not answer.startswith(b"HTTP/1.1 20")
    writer.close()
    return refused


async def drive(
    port: int, token: str, content_type: str, bodies: Sequence[bytes], clients: int
) -> Load:
    """Send every body once over that many connections."""
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: "
    ).encode()
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    for body in bodies:
        queue.put_nowait(body)
    seen: list[float] = []
    start = time.perf_counter()
    refused = await asyncio.gather(
        *[_connection("127.0.0.1", port, head, queue, seen) for _ in range(clients)]
    )
    seconds = time.perf_counter() - start
    cuts = statistics.quantiles(seen, n=100)
    return Load(len(seen), seconds, 1000 * cuts[49], 1000 * cuts[98], sum(refused))


def main() -> None:
    """`PORT TOKEN CONTENT_TYPE CLIENTS FILE`: bodies one a line; prints the Load as JSON."""
    port, token, content_type, clients, path = sys.argv[1:]
    bodies = Path(path).read_bytes().splitlines()
    load = asyncio.run(drive(int(port), token, content_type, bodies, int(clients)))
    sys.stdout.write(orjson.dumps(asdict(load)).decode() + "\n")


if __name__ == "__main__":
    main()
