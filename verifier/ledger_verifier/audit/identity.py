"""Which verifier this is: its version, and a digest of the source files it runs from.

Guarantees: two copies with the same digest are the same program text. The digest is SHA-256 over,
for every `.py` file of the package in order of its path: path, newline, length, newline, bytes.
"""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import ledger_verifier


def _version() -> str:
    try:
        return version("ledger-verifier")
    except PackageNotFoundError:
        return "unknown (not installed)"


VERSION: Final = _version()


@cache
def source_sha256() -> str:
    """Digest of the package's own source, in hexadecimal."""
    root = Path(ledger_verifier.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda file: file.relative_to(root).as_posix()):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\n{len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()
