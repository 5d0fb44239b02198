"""Files that a run leaves behind: the saved bundle, the state file, the report as a page.

Guarantees: what cannot be written is refused before anything is checked, as far as that can be told
then; nothing is written before the report has been shown, and what then cannot be written is said
without taking anything from the report. A file that is not meant to be replaced never is.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from ledger_verifier.audit.given import UsageError
from ledger_verifier.audit.readers.recording import RecordingReader
from ledger_verifier.audit.report.model import Report
from ledger_verifier.audit.report.save import save_html
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
