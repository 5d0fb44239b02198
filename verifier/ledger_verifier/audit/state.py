"""What an auditor remembers between runs: the signed checkpoints seen so far, verbatim.

Guarantees: the file is replaced as a whole or not at all, and members that a later version adds
are kept as they are. Its form is JSON, `hub-ledger/verifier-state@v1`:

    {"format": ..., "logs": {origin: {"checkpoints": [signed checkpoint, ...]}}}

It holds no entry and no token. Whoever can change it can make the verifier forget: keep it as
carefully as the policy file.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

FORMAT: Final = "hub-ledger/verifier-state@v1"
MAX_STATE: Final = 256 * 1024 * 1024


class StateError(Exception):
    """The state file cannot be used; the message says why."""


class State:
    """Checkpoints by origin, in the order they were first seen."""

    def __init__(self, value: dict[str, Any] | None = None) -> None:
        self._value: dict[str, Any] = value or {"format": FORMAT, "logs": {}}
        #: Whether there is anything to save.
        self.changed = False

    @classmethod
    def load(cls, path: Path) -> "State":
        """Read a state file; an absent one is an empty state. Raises StateError."""
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_STATE + 1)
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise StateError(f"the state file cannot be read: {error.strerror}") from error
        if len(raw) > MAX_STATE:
            raise StateError("the state file is too large")
        try:
            value = orjson.loads(raw)
        except ValueError as error:
            raise StateError("the state file is not JSON") from error
        if not isinstance(value, dict) or not isinstance(value.get("format"), str):
            raise StateError("the state file does not say its format")
        if value["format"] != FORMAT:
            raise StateError("the state file is of a format that this verifier does not know")
        if not _well_formed(value.get("logs")):
            raise StateError("the state file is not well formed")
        return cls(value)

    def checkpoints(self) -> list[bytes]:
        """Every checkpoint remembered, of every origin."""
        return [
            text.encode() for log in self._value["logs"].values() for text in log["checkpoints"]
        ]

    def add(self, origin: str, raw: bytes) -> None:
        """Remember a checkpoint, once."""
        log = self._value["logs"].setdefault(origin, {"checkpoints": []})
        text = raw.decode()
        if text not in log["checkpoints"]:
            log["checkpoints"].append(text)
            self.changed = True

    def save(self, path: Path) -> None:
        """Replace the file, durably; raises StateError."""
        raw = orjson.dumps(self._value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        temporary: str | None = None
        try:
            handle, temporary = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
            temporary = None
            _sync_directory(path.parent)
        except OSError as error:
            raise StateError(f"the state file cannot be written: {error.strerror}") from error
        finally:
            if temporary is not None:
                with suppress(OSError):
                    Path(temporary).unlink()


def _well_formed(logs: Any) -> bool:
    return isinstance(logs, dict) and all(
        isinstance(log, dict)
        and isinstance(log.get("checkpoints"), list)
        and all(isinstance(text, str) for text in log["checkpoints"])
        for log in logs.values()
    )


def _sync_directory(directory: Path) -> None:
    # Where a directory cannot be opened (Windows), the rename alone has to do.
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
