"""One caller of the service's HTTP interface: a token, and who is reading for what."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from demo.service import DemoError

PATIENCE: Final = 30.0
"""Seconds for any one answer."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Requests of one person with one token. `actor` is a random staff reference."""

    url: str
    token: str | None = None
    actor: str | None = None
    purpose: str | None = None

    def ask(self, path: str, event: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """GET a path, or POST one event to it; the status and the body of the answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if self.actor:
            headers["Actor"] = self.actor
        if self.purpose:
            headers["Purpose-Of-Use"] = self.purpose
        body = None
        if event is not None:
            headers["Content-Type"] = "application/cloudevents+json"
            body = orjson.dumps(event)
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> bytes:
        """The body of a 200 answer; raises DemoError for any other."""
        status, body = self.ask(path)
        if status != 200:
            raise DemoError(f"GET {path} was answered with {status}: {body.decode()}")
        return body

    def post(self, event: dict[str, Any]) -> dict[str, Any]:
        """The reply to an event that was recorded; raises DemoError when it was not."""
        status, body = self.ask("/v1/events", event)
        if status != 201:
            raise DemoError(f"an event was refused with {status}: {body.decode()}")
        reply: dict[str, Any] = orjson.loads(body)
        return reply


def until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask again, five times a second, until it is so; DemoError when the time is up."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise DemoError(f"after {seconds:.0f} seconds still not: {what}")
        time.sleep(0.2)
