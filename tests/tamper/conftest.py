"""Ledgers that are attacked have forked processes: see `tests.forked`."""

from collections.abc import Iterator

import pytest

from tests.forked import forked_processes


@pytest.fixture(scope="package", autouse=True)
def forked() -> Iterator[None]:
    with forked_processes():
        yield
