"""Writes the HTML report to a file of its own.

Guarantees: a file that is there already is never overwritten, since it may be an earlier report;
what cannot be written whole is not left behind; only its owner can read the file, for a report on
failures names the streams they are in.
"""

import os
from pathlib import Path

from ledger_verifier.audit.report.as_html import as_html
from ledger_verifier.audit.report.model import Report


def save_html(report: Report, path: Path) -> None:
    """Write the report. Raises OSError, FileExistsError among it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(as_html(report))
    except OSError:
        path.unlink(missing_ok=True)
        raise
