"""The files of the repository, for tests about the repository itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("ledger", "api", "verifier", "demo", "tests")

_MADE = {".git", ".venv", "__pycache__", "build", "dist", "demo-data"}
#: Files of others, kept as they came: none of what is asked of our own files is asked of them.
VENDORED: Final = ROOT / "api/static/swagger-ui"
_CACHES = {".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache"}


def files(start: Path = ROOT) -> Iterator[Path]:
    """Every file that is written by hand or kept with the sources, in a fixed order."""
    for path in sorted(start.iterdir()):
        if path.name in _MADE | _CACHES or path == VENDORED:
            continue
        if path.is_dir() and not path.is_symlink():
            yield from files(path)
        elif path.is_file():
            yield path


def python_files() -> Iterator[Path]:
    """Every Python module of the packages and the tests."""
    for package in PACKAGES:
        yield from (path for path in files(ROOT / package) if path.suffix == ".py")


def text_files() -> Iterator[tuple[Path, str]]:
    """Every file that is UTF-8 text, with its text; binary fixtures are passed over."""
    for path in files():
        raw = path.read_bytes()
        if b"\0" in raw:
            continue
        try:
            yield path, raw.decode("utf-8")
        except UnicodeDecodeError:
            continue


def name(path: Path) -> str:
    """The path as it is written in documentation."""
    return path.relative_to(ROOT).as_posix()
