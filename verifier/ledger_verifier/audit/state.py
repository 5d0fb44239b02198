"""What an auditor remembers between runs, in one file.

For each log the signed checkpoints seen so far, verbatim, and, of the last run that found all well,
what the next one needs to go on from there (see `resume`).

Guarantees: the file is replaced as a whole or not at all, and members that a later version adds
are kept as they are. Its form is one line of JSON, `hub-ledger/verifier-state@v2`, and after it,
joined, the packed stream heads of every log that has a `resume`, in the order of the origins:

    {"format": ..., "logs": {origin: {"checkpoints": [signed checkpoint, ...], "resume": {...}}}}

A file of version 1, which was JSON alone and without `resume`, is read too. The file holds no entry
but those that define a log, and no token. Whoever can change it can make the verifier forget, or
take entries for verified that were not: keep it as carefully as the policy file.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from ledger_verifier.audit.report.model import Findings
from ledger_verifier.audit.resume import Binding, Resume, ResumeError, pack, unpack
from ledger_verifier.formats.errors import MAX_SHOWN

FORMAT: Final = "hub-ledger/verifier-state@v2"
FORMAT_1: Final = "hub-ledger/verifier-state@v1"
#: Largest file that is read, and its largest first line.
MAX_STATE: Final = 16 * 1024 * 1024 * 1024
MAX_LINE: Final = 256 * 1024 * 1024


class StateError(Exception):
    """The state file cannot be used; the message says why."""


class State:
    """Checkpoints by origin, in the order they were first seen, and where to go on."""

    def __init__(self, value: dict[str, Any] | None = None, heads: bytes = b"") -> None:
        self._value: dict[str, Any] = value or {"logs": {}}
        self._value["format"] = FORMAT
        self._resumes: dict[str, tuple[Resume, Binding]] = {}
        #: Whether there is anything to save.
        self.changed = False
        at = 0
        for origin, log in sorted(self._value["logs"].items()):
            if "resume" in log:
                end = at + _length(log["resume"])
                try:
                    self._resumes[origin] = unpack(log["resume"], heads[at:end])
                except ResumeError as error:
                    reason = f"the state file's record of an earlier run {error}"
                    raise StateError(f"{reason}; without that file everything is read") from error
                at = end
        if at != len(heads):
            raise StateError("the state file is cut short, or goes on after its end")

    @classmethod
    def load(cls, path: Path) -> "State":
        """Read a state file; an absent one is an empty state. Raises StateError."""
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size > MAX_STATE:
                    raise StateError("the state file is too large")
                first = file.readline(MAX_LINE + 1)
                rest = file.read()
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise StateError(f"the state file cannot be read: {error.strerror}") from error
        if len(first) > MAX_LINE:
            raise StateError("the state file is too large")
        try:
            value = orjson.loads(first)
        except ValueError:
            # Version 1 was written over several lines.
            value, rest = _loads(first + rest), b""
        if not isinstance(value, dict) or not isinstance(value.get("format"), str):
            raise StateError("the state file does not say its format")
        if value["format"] not in (FORMAT, FORMAT_1):
            raise StateError("the state file is of a format that this verifier does not know")
        if not _well_formed(value.get("logs")):
            raise StateError("the state file is not well formed")
        if value["format"] == FORMAT_1:
            for log in value["logs"].values():
                log.pop("resume", None)
        return cls(value, rest)

    @property
    def origins(self) -> tuple[str, ...]:
        """The logs of which checkpoints are remembered."""
        return tuple(origin for origin, log in self._value["logs"].items() if log["checkpoints"])

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

    def resume(self, origin: str) -> tuple[Resume, Binding] | None:
        """Where a run over this log may go on, and what that rests on."""
        return self._resumes.get(origin)

    def keep(self, origin: str, resume: Resume, binding: Binding) -> None:
        """Let the next run over this log go on from here. The log has a checkpoint already."""
        if self._resumes.get(origin) != (resume, binding):
            self._resumes[origin] = (resume, binding)
            self._value["logs"][origin]["resume"] = pack(resume, binding)
            self.changed = True

    def save(self, path: Path) -> None:
        """Replace the file, durably; raises StateError."""
        first = orjson.dumps(self._value, option=orjson.OPT_APPEND_NEWLINE)
        temporary: str | None = None
        try:
            handle, temporary = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(first)
                file.writelines(self._resumes[origin][0].heads for origin in sorted(self._resumes))
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


def refuse_foreign(state: State, origin: str, findings: Findings) -> bool:
    """Whether a state file remembers other logs and nothing of this one, which is then reported: a
    log shown in the place of the one remembered must not pass for a log that is new."""
    known = state.origins
    if not known or origin in known:
        return False
    named = " and ".join(name[:MAX_SHOWN] for name in known[:3])
    findings.lack(
        f"the state file remembers the log {named} and nothing of {origin[:MAX_SHOWN]}, which is "
        "what was shown: check the address or the file; if you meant this log, give it a state "
        "file of its own"
    )
    return True


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError as error:
        raise StateError("the state file is not JSON") from error


def _length(resume: Any) -> int:
    length = resume.get("heads") if isinstance(resume, dict) else None
    return length if isinstance(length, int) and length > 0 else 0


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
