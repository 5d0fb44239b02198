"""How a test of the verifier gets a report: the same log over HTTP and as a bundle."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ledger_verifier.audit.engine import Options, verify_log
from ledger_verifier.audit.readers.archive import BundleLogReader
from ledger_verifier.audit.readers.http import HttpLogReader
from ledger_verifier.audit.report.model import Report
from ledger_verifier.audit.state import State
from ledger_verifier.audit.trust import earlier_checkpoint
from ledger_verifier.formats.bundle import BundleReader

from .world import TOKEN, World, policy, serving, write_log

SIZE = 600

Verify = Callable[..., Report]


@pytest.fixture(scope="session")
def world() -> World:
    """A good log of 600 entries: two full entry bundles and a partial one. Not to be altered."""
    return World().fill(SIZE)


@pytest.fixture
def members(world: World) -> dict[str, bytes]:
    """The good log's members, to be altered."""
    return world.members()


def run(
    members: Mapping[str, bytes],
    transport: str,
    folder: Path,
    *,
    since: tuple[bytes, ...] = (),
    state: State | None = None,
    quorum: str | None = "both",
    **options: Any,
) -> Report:
    """Verify these members over a transport."""
    trust = policy(quorum)
    earlier = [earlier_checkpoint(raw, trust, f"since-{n}") for n, raw in enumerate(since)]
    chosen = Options(**{"wait": 0.0, **options})
    if transport == "bundle":
        path = write_log(members, folder / "log.bundle")
        with path.open("rb") as file:
            reader = BundleLogReader(BundleReader(file))
            return verify_log(reader, trust, earlier=earlier, state=state, options=chosen)
    with serving(members) as server:
        http = HttpLogReader(server.url, TOKEN)
        try:
            return verify_log(http, trust, earlier=earlier, state=state, options=chosen)
        finally:
            http.close()


@pytest.fixture
def over_bundle(tmp_path: Path) -> Verify:
    """Verify members written as a log bundle."""

    def verify(members: Mapping[str, bytes], **options: Any) -> Report:
        return run(members, "bundle", tmp_path, **options)

    return verify


@pytest.fixture
def over_http(tmp_path: Path) -> Verify:
    """Verify members served by a real server."""

    def verify(members: Mapping[str, bytes], **options: Any) -> Report:
        return run(members, "http", tmp_path, **options)

    return verify


@pytest.fixture(params=["bundle", "http"])
def verify(request: pytest.FixtureRequest, tmp_path: Path) -> Verify:
    """Both, one after the other."""

    def both(members: Mapping[str, bytes], **options: Any) -> Report:
        return run(members, request.param, tmp_path, **options)

    return both
