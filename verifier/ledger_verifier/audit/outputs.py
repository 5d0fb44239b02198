"""What a run leaves behind: the report as printed, the saved bundle, the state file, the page.

Guarantees: what cannot be written is refused before anything is checked, as far as that can be told
then; no file is written before the report has been shown, and what then cannot be written is said
without taking anything from the report or from the files. A report that cannot be shown is such an
error too. A file that is not meant to be replaced never is.
"""

import errno
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from rich.console import Console

from ledger_verifier.audit.given import UsageError
from ledger_verifier.audit.readers.recording import RecordingReader
from ledger_verifier.audit.report.as_json import as_json
from ledger_verifier.audit.report.model import Report
from ledger_verifier.audit.report.save import save_html
from ledger_verifier.audit.report.terminal import print_report, printable
from ledger_verifier.audit.state import State, StateError
from ledger_verifier.formats.errors import BundleError

#: Raises OSError, StateError or BundleError.
Write = Callable[[Report], object]


class Outputs:
    """The files asked for, and how to write each, in the order given."""

    def __init__(self) -> None:
        self._paths: dict[Path, Path] = {}
        self._writes: list[tuple[Path, Write]] = []

    def expect(self, name: str | None, *, replaced: bool = False) -> None:
        """A file of this name will be written; raises UsageError when it cannot be."""
        if name is None:
            return
        path = Path(name)
        if not replaced and path.exists():
            raise UsageError(f"{path} exists already and is not overwritten")
        other = self._paths.setdefault(path.absolute(), path)
        if other is not path:
            raise UsageError(f"{path} is named for two different files")
        try:
            # Rights and room are the file system's to judge, so it is tried.
            with tempfile.TemporaryFile(dir=path.absolute().parent):
                pass
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written: {error.strerror}. Nothing was checked"
            ) from error

    def page(self, name: str | None) -> None:
        """Write the report as a page."""
        if name is not None:
            path = Path(name)
            self._writes.append((path, lambda report: save_html(report, path)))

    def state(self, state: State | None, name: str | None) -> None:
        """Write the state file, if there is anything new in it."""
        if state is not None and name is not None:
            path = Path(name)
            self._writes.append((path, lambda _: state.save(path) if state.changed else None))

    def bundle(self, recording: RecordingReader | None, name: str | None) -> None:
        """Write what was read as a bundle, if anything was."""
        if recording is not None and name is not None:
            path = Path(name)
            self._writes.append((path, lambda _: _save(recording, path)))

    def write(self, report: Report) -> list[str]:
        """Write them all; returns what went wrong, in words."""
        errors = []
        for path, write in self._writes:
            try:
                write(report)
            except OSError as error:
                errors.append(f"{path} cannot be written: {error.strerror or error}")
            except (StateError, BundleError) as error:
                errors.append(f"{path}: {error}")
        return errors


class _Console(Console):
    """A console that says when nobody reads what it writes, where that of rich would exit."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def show(report: Report, *, as_object: bool) -> list[str]:
    """Print the report to standard output; returns what went wrong, in words."""
    try:
        # The stream that was closed before the start is None.
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if as_object:
            sys.stdout.buffer.write(as_json(report))
        else:
            console = _Console()
            # Written at once: who reads no further than the first line has been sent it all.
            with console:
                print_report(report, console)
        sys.stdout.flush()
    except (OSError, UnicodeEncodeError) as error:
        _forsake(sys.stdout)
        reason = error.reason if isinstance(error, UnicodeEncodeError) else error.strerror
        return [f"the report could not be printed: {reason}. It says {report.verdict.value}"]
    return []


def say(text: str) -> None:
    """Say something on standard error; that it cannot be said changes nothing."""
    if sys.stderr is None:
        return
    try:
        print(f"ledger-verify: {printable(text)}", file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        _forsake(sys.stderr)


def _forsake(stream: TextIO | None) -> None:
    """Send the rest of a stream nowhere: what it still holds would be tried again, and fail, when
    the interpreter ends, which then gives an exit code of its own."""
    if stream is None:
        return
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _save(recording: RecordingReader, path: Path) -> None:
    """Write the bundle beside its name and then give it that name, readable by its owner only:
    entries are personal data, if pseudonymous."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            saved = recording.save(file)
        if saved:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
