"""An erasure, or an expiry, in a service that is killed at every step of it: before the COMMIT
nothing is erased and nothing lost; after it, nothing of it can be read once the service is back."""

import http.client
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest

from ledger.access import Role
from ledger.catalogue import CATALOGUE
from ledger.config import DataDirectory
from ledger.database import open_database
from ledger.fsck import check
from ledger.initialise import initialise
from ledger.searching import search
from ledger.store import open_store
from ledger.tokens import TokenStore
from ledger_verifier.audit.report.model import Verdict
from tests.conftest import MakeDatabase
from tests.faults.service import free_port
from tests.faults.struck import serve
from tests.forked import FORKS
from tests.ledger.copies import key_rows

ACTOR: Final = "b39b14e9-3624-46a0-962e-f27154ef6e27"
#: Of what the examples say of a person: never in a log, an error or a metric.
PLAIN: Final = (b"Example Person", b"Fictional", b"1 Example Street")
SECONDS: Final = 30.0

Cloud = dict[str, Any]


def event(type_name: str, subject: str | None = None, **data: Any) -> Cloud:
    """The catalogue's example of a type, as a new event of a stream: a new one if none is given."""
    known = CATALOGUE.get(type_name)
    assert known is not None
    example = known.example
    subject = subject or f"{example['subject'].partition('/')[0]}/{uuid4()}"
    new = {**example, "id": str(uuid4()), "subject": subject, "data": {**example["data"], **data}}
    return {name: value for name, value in new.items() if value is not None}


@dataclass
class World:
    """A ledger, and the service over it."""

    directory: DataDirectory
    token: str
    port: int = field(default_factory=free_port)
    service: Any = None

    @property
    def armed(self) -> Path:
        return self.directory.path.with_name("armed")

    @property
    def log(self) -> Path:
        return self.directory.path.with_name("log")

    def start(self) -> bool:
        """Start the service; whether it came to answering requests."""
        hears, says = FORKS.Pipe(duplex=False)
        where = (str(self.directory.path), self.port, str(self.armed), str(self.log), says)
        self.service = FORKS.Process(target=serve, args=where)
        self.service.start()
        says.close()
        with closing(hears):
            return b"listening" in os.read(hears.fileno(), 4096)

    def ended(self) -> int | None:
        """What the service ended with; it must be about to."""
        self.service.join(SECONDS)
        code: int | None = self.service.exitcode
        return code

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A request, and its answer; raises when the connection is lost."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/cloudevents+json",
            "Actor": ACTOR,
            "Purpose-Of-Use": "inspection",
            "Bulk-Reason": "inspection",
        }
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)) as line:
            line.request(method, path, None if body is None else orjson.dumps(body), headers)
            reply = line.getresponse()
            raw = reply.read()
        assert not any(plain in raw for plain in PLAIN) or path.endswith("/sealed")
        return reply.status, raw

    def post(self, one: Cloud) -> tuple[int, Any]:
        status, raw = self.ask("POST", "/v1/events", one)
        return status, orjson.loads(raw)

    def recorded(self, one: Cloud) -> int:
        status, answer = self.post(one)
        assert status == 201, answer
        position: int = answer["position"]
        return position

    def opens(self, position: int, name: str) -> bool:
        """Whether a sealed field of an entry opens."""
        status, raw = self.ask("GET", f"/v1/entries/{position}/sealed")
        assert status == 200, raw
        return name in orjson.loads(raw)["fields"]

    def struck(self, step: str, one: Cloud) -> int | None:
        """Have the service killed at a step of recording an event; what it had answered."""
        self.armed.write_text(step)
        status = None
        with suppress(OSError, http.client.HTTPException):
            status, _ = self.post(one)
        assert self.ended() == -9
        assert not self.armed.exists()
        return status

    def until_verified(self, subject: str) -> None:
        """Wait until the ledger has recorded that the erasure of a stream is complete."""
        with closing(open_store(self.directory.database)) as store:
            for _ in range(int(SECONDS / 0.02)):
                if "erasure.verified" in [one.type for one in store.stream(subject)]:
                    return
                Event().wait(0.02)
        raise AssertionError("the erasure is not verified")

    def stored(self, subject: str, *positions: int) -> list[bytes]:
        """The subject key of a stream and the beginnings of what it seals, as they are stored."""
        of_subject = "WHERE stream = ? AND key_class = 'subject'"
        wrapped = [row[3] for row in key_rows(self.directory, of_subject, subject)]
        with closing(open_store(self.directory.database)) as store:
            rows = [row for row in store.sealed(positions) if row.key_class == "subject"]
        found = [*wrapped, *(row.ciphertext[:32] for row in rows)]
        assert len(found) == 1 + len(positions)
        return [one for one in found if isinstance(one, bytes)]

    def left(self, secrets: list[bytes]) -> set[int]:
        """Which of these some byte of the data directory still holds."""
        return search(self.directory.path, secrets) if self.directory.embedded else set()

    def assert_sound(self) -> None:
        report = check(self.directory)
        assert report.verdict is Verdict.VERIFIED, report.failures
        _, metrics = self.ask("GET", "/metrics")
        for said in (self.log.read_bytes(), metrics):
            assert not any(plain in said for plain in PLAIN)


@pytest.fixture(scope="module")
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    database = key_database = None
    if request.param == "postgresql":
        make: MakeDatabase = request.getfixturevalue("postgres")
        database, key_database = make(), make()
    directory = initialise(
        tmp_path_factory.mktemp("struck") / "data", database=database, key_database=key_database
    )
    with closing(open_database(directory.access_database)) as tokens:
        text, _ = TokenStore(tokens).create(Role.DPO, all=True)
    made = World(directory, text)
    yield made
    if made.service is not None and made.service.is_alive():
        made.service.terminate()
        assert made.ended() == 0


@pytest.fixture
def up(world: World) -> World:
    """The service, started if the test before left none."""
    world.armed.unlink(missing_ok=True)
    if world.service is None or not world.service.is_alive():
        assert world.start()
    return world


BEFORE: Final = ("planned", "next key made", "sealed anew", "before COMMIT")
AFTER: Final = (
    "after COMMIT",
    "after the guard",
    "before the reply",
    "before the keys",
    "keys deleted",
    "before applied_through",
    "after the keys",
    "during the scan",
    "before erasure.verified",
)
#: On PostgreSQL, those at which its transactions decide.
SHARED: Final = ("before COMMIT", "after COMMIT", "before applied_through", "during the scan")


def on_both(*steps: str) -> pytest.MarkDecorator:
    """Each of these steps, on the databases that have it."""
    cases = [("sqlite", step) for step in steps]
    cases += [("postgresql", step) for step in steps if step in SHARED]
    return pytest.mark.parametrize(("world", "step"), cases, indirect=["world"])


@on_both(*BEFORE, *AFTER)
def test_an_erasure_that_is_killed(up: World, step: str) -> None:
    case = f"case/{uuid4()}"
    gone, kept = event("subject.identified", case), event("case.closed", case)
    places = [up.recorded(gone), up.recorded(kept)]
    some = step in ("next key made", "sealed anew", "before applied_through", "after the guard")
    named = {"scope": "entries", "erased_events": [gone["id"]]} if some else {}
    erasure = event("erasure.executed", case, ordered_event=None, **named)
    secrets = up.stored(case, *places)
    if some:
        # What is kept is sealed anew: its old ciphertext goes too.
        assert len(secrets) == 3
    answered = up.struck(step, erasure)
    assert answered in ((201,) if "scan" in step or "verified" in step else (None,))
    assert up.start()
    erased = step in AFTER
    assert up.opens(places[0], "reasons") is not erased
    assert up.opens(places[1], "reason") is (some or not erased)
    if erased:
        assert up.left(secrets) == set()
    status, _ = up.post(erasure)
    assert status == (200 if erased else 201)
    up.until_verified(case)
    assert not up.opens(places[0], "reasons")
    assert up.opens(places[1], "reason") is some
    assert up.left(secrets) == set()
    # A late retry of what was erased seals nothing again, and tells nothing.
    assert up.post(gone)[0] == 200
    assert not up.opens(places[0], "reasons")
    up.assert_sound()


@on_both("before the keys", "before applied_through")
def test_an_erasure_that_is_killed_again_at_the_next_start(up: World, step: str) -> None:
    case = f"case/{uuid4()}"
    gone = event("subject.identified", case)
    place = up.recorded(gone)
    secrets = up.stored(case, place)
    assert up.struck("after COMMIT", event("erasure.executed", case, ordered_event=None)) is None
    up.armed.write_text(step)
    assert not up.start()
    assert up.ended() == -9
    assert up.start()
    assert not up.opens(place, "reasons")
    assert up.left(secrets) == set()
    up.until_verified(case)
    up.assert_sound()


@on_both("planned", "before COMMIT", *AFTER[:7])
def test_an_expiry_that_is_killed(up: World, step: str) -> None:
    party = f"party/{uuid4()}"
    up.recorded(event("policy.adopted"))
    altered, bystander = (
        event("record.altered", party),
        event("subject.identified"),
    )
    place, beside = up.recorded(altered), up.recorded(bystander)
    secrets = [
        *up.stored(party, place),
        party.encode(),
        bytes.fromhex(altered["id"].replace("-", "")),
    ]
    order = event("expiry.ordered")
    assert up.struck(step, order) is None
    assert up.start()
    expired = step in AFTER
    status, _ = up.ask("GET", f"/v1/entries/{place}/sealed")
    assert status == (410 if expired else 200)
    if expired:
        assert up.left(secrets) == set()
    status, _ = up.post(order)
    assert status == (200 if expired else 201)
    assert up.ask("GET", f"/v1/entries/{place}")[0] == 410
    assert up.post(altered)[0] == 410
    assert key_rows(up.directory, "WHERE stream = ?", party) == []
    assert up.left(secrets) == set()
    assert up.opens(beside, "reasons")
    up.assert_sound()
