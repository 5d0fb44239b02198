"""The service as its operator runs it: the real commands, in processes of their own."""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

READY_WITHIN: Final = 30.0
"""Seconds within which a service that was started must answer that it is ready."""

STOP_WITHIN: Final = 15.0
"""Seconds within which a service that was asked to stop must have stopped."""


class DemoError(Exception):
    """A step did not come out as it should; the message says which and how."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished command: what it was, its exit code and what it printed."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    def must(self, *codes: int) -> "Ran":
        """Itself, or DemoError when the exit code is none of those expected."""
        if self.code not in codes:
            wanted = " or ".join(map(str, codes))
            raise DemoError(
                f"{' '.join(self.command)} ended with {self.code}, not {wanted}"
                f"\n{self.out}{self.err}"
            )
        return self


def run(program: str, *arguments: str) -> Ran:
    """Run one of the installed programs and wait for it."""
    command = (str(Path(sys.executable).with_name(program)), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Ran((program, *arguments), done.returncode, done.stdout, done.stderr)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def serving(data: Path, log: Path) -> Iterator[str]:
    """Run `hub-ledger serve` on a free port; yields its URL and stops it at the end.

    Raises DemoError when the service does not become ready, or does not stop cleanly.
    """
    port = free_port()
    program = str(Path(sys.executable).with_name("hub-ledger"))
    command = [program, "serve", "--data", str(data), "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
        try:
            _wait_until_ready(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if process.returncode != 0:
        raise DemoError(f"the service did not stop cleanly; its log:\n{log.read_text('utf-8')}")


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if _is_ready(port):
            return
        time.sleep(0.05)
    raise DemoError(f"the service did not become ready; its log:\n{log.read_text('utf-8')}")


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
