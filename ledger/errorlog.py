"""What goes wrong, in one line of JSON on standard error: of what type and where in the code.

Guarantees: no line holds an exception's message, nor what a library logs: both quote values. Once
`install` was called, that is so for what nothing catches too, in whatever thread.
"""

import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any, Final

import orjson

#: Exceptions behind one another that are named.
_MOST: Final = 8


def frames_of(error: BaseException) -> list[str]:
    """The lines an exception passed through, outermost first: places in the code, no values."""
    return [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]


def types_of(error: BaseException) -> list[str]:
    """The types of an exception and of what it came from, the last raised first."""
    types: list[str] = []
    link: BaseException | None = error
    while link is not None and len(types) < _MOST:
        types.append(type(link).__qualname__)
        link = link.__cause__ or link.__context__
    return types


def log_error(
    event: str, error: BaseException | None = None, level: str = "error", **more: Any
) -> None:
    """Write one line. `event` and `more` are this program's own words, never a value."""
    line = {
        "event": event,
        **more,
        "error": [] if error is None else types_of(error),
        "frames": [] if error is None else frames_of(error),
        "level": level,
        "timestamp": datetime.now(UTC).isoformat(),
    }
    sys.stderr.write(orjson.dumps(line).decode() + "\n")
    sys.stderr.flush()


def install() -> None:
    """Log so, for the whole process, what nothing catches and what libraries log."""
    sys.excepthook = lambda _, error, __: log_error("uncaught exception", error)
    sys.unraisablehook = lambda it: log_error("exception that cannot be raised", it.exc_value)
    threading.excepthook = lambda it: log_error("uncaught exception of a thread", it.exc_value)
    logging.basicConfig(handlers=[_Handler()], level=logging.WARNING, force=True)


class _Handler(logging.Handler):
    """Passes on that a library logged something, and withholds what."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        place = f"{record.filename}:{record.lineno}"
        log_error("library", error, record.levelname.lower(), logger=record.name, place=place)
