"""The application over a ledger in memory, and tokens for it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from api.app import build_app
from ledger.access import Credential, Role
from tests.api.events import NOW, credential
from tests.api.fakes import FakeLedger

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
async def client(
    ledger: FakeLedger, aiohttp_client: Callable[[web.Application], Awaitable[Client]]
) -> Client:
    return await aiohttp_client(build_app(ledger, now=lambda: NOW))


@pytest.fixture
def token(ledger: FakeLedger) -> Callable[..., dict[str, str]]:
    """Headers that carry a token for a new credential: `token(Role.AUDITOR, all=True)`."""

    def make(role: Role = Role.SUBMITTER, **changes: Any) -> dict[str, str]:
        return headers_for(ledger, credential(role, **changes))

    return make


def headers_for(ledger: FakeLedger, holder: Credential) -> dict[str, str]:
    text = f"hl_{holder.public_id.replace('-', '')}"
    ledger.tokens[text] = holder
    return {"Authorization": f"Bearer {text}"}
