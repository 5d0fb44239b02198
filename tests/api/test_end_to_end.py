"""The contract with other people's clients, through the real commands and a real second process,
on SQLite and on PostgreSQL."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tlog_scales.backend import HttpBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey, VkeySet

from ledger.catalogue import CATALOGUE
from tests.conftest import MakeDatabase

BIN = Path(sys.executable).parent
ACTOR = "b39b14e9-3624-46a0-962e-f27154ef6e27"
IDENTIFICATIONS = 700


def run(*command: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [str(BIN / command[0]), *map(str, command[1:])], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done
    return done.stdout


@dataclass
class Service:
    """A served ledger: its address, its directory, a policy file and tokens by role."""

    url: str
    data: Path
    policy: Path
    tokens: dict[str, str] = field(default_factory=dict)

    def call(
        self, path: str, role: str, body: Any = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {
                "Authorization": f"Bearer {self.tokens[role]}",
                "Content-Type": "application/cloudevents-batch+json"
                if isinstance(body, list)
                else "application/cloudevents+json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.read(), dict(reply.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def verify(self, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
        printed = run("ledger-verify", *arguments, "--json", "--policy", self.policy, code=code)
        report: dict[str, Any] = json.loads(printed)
        return report


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("end-to-end")
    data = folder / "data"
    database: list[str] = []
    if request.param == "postgresql":
        make: MakeDatabase = request.getfixturevalue("postgres")
        database = ["--database", make()]
    run("hub-ledger", "init", "--data", data, *database)
    policy = folder / "policy"
    policy.write_text(run("hub-ledger", "policy", "--data", data))
    tokens = {}
    for role in ("submitter", "dpo", "auditor"):
        created = run("hub-ledger", "token", "create", "--data", data, "--role", role, "--all")
        tokens[role] = created.splitlines()[-1]
    process = subprocess.Popen(
        [str(BIN / "hub-ledger"), "serve", "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on http://127.0.0.1:"), line
    yield Service(line.split()[-1], data, policy, tokens)
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()
    # What was served is whole where it is stored.
    run("hub-ledger", "fsck", "--data", data)


@pytest.fixture(scope="module")
def recorded(service: Service) -> list[dict[str, Any]]:
    """The examples and 700 more identifications, posted as a client would that reads nothing but
    the list of types."""
    _, raw, _ = service.call("/v1/event-types", "submitter")
    types = json.loads(raw)["types"]
    results = []
    for event_type in types:
        status, body, _ = service.call("/v1/events", "submitter", event_type["example"])
        assert status == 201, (event_type["type"], body)
        results.append(json.loads(body))
    example = next(t["example"] for t in types if t["type"] == "subject.identified")
    for _ in range(IDENTIFICATIONS // 100):
        batch = [{**example, "id": str(uuid4()), "subject": f"case/{uuid4()}"} for _ in range(100)]
        status, body, _ = service.call("/v1/events", "submitter", batch)
        assert status == 201, body
        results += json.loads(body)["items"]
    return results


def test_every_event_has_a_receipt_and_its_own_place(recorded: list[dict[str, Any]]) -> None:
    assert len(recorded) == IDENTIFICATIONS + len(CATALOGUE.types())
    # What an erasure freezes is recorded right before it, and verified some time after it.
    positions = [r["position"] for r in recorded]
    assert positions == sorted(set(positions))
    assert len(positions) + 1 <= positions[-1] - positions[0] + 1 <= len(positions) + 2
    for result in recorded:
        assert set(result) == {
            "position",
            "leaf_hash",
            "stream",
            "recorded_at",
            "receipt",
            "findings",
        }
        assert result["receipt"].startswith("c2sp.org/tlog-proof@v1\n")
        assert result["findings"] == []


def test_a_retry_gives_the_same_place(service: Service, recorded: list[dict[str, Any]]) -> None:
    _, raw, _ = service.call("/v1/event-types", "submitter")
    for event_type, before in zip(json.loads(raw)["types"], recorded, strict=False):
        status, body, _ = service.call("/v1/events", "submitter", event_type["example"])
        again = json.loads(body)
        assert status == 200
        for member in ("position", "leaf_hash", "stream", "recorded_at"):
            assert again[member] == before[member]


def test_the_live_log_verifies(service: Service, recorded: list[dict[str, Any]]) -> None:
    token = service.tokens["auditor"]
    report = service.verify("log", service.url, "--token", token, "--unique")
    assert report["verdict"] == "VERIFIED"
    assert report["tree_size"] > recorded[-1]["position"]
    witnessed = service.policy.with_name("witnessed")
    vkey = "witness.example/w+5e37ecca+BHQ7bSpB6y3LYLxhnZVyAQjT7Mc2zUXbkmcwt5GOqyQg"
    from ledger_verifier.formats.checkpoint import Ed25519Cosigner

    vkey = Ed25519Cosigner.generate("witness.example/w").key.vkey
    text = service.policy.read_text()
    witnessed.write_text(text.replace("quorum none", f"witness w {vkey}\nquorum w"))
    printed = run(
        "ledger-verify", "log", service.url, "--token", token, "--policy", witnessed, code=3
    )
    assert printed.startswith("UNWITNESSED")


def test_receipts_and_entries_verify_offline(
    service: Service, recorded: list[dict[str, Any]], tmp_path: Path
) -> None:
    for result in recorded[300:301]:
        _, raw, _ = service.call(f"/v1/entries/{result['position']}", "auditor", Actor=ACTOR)
        _, newest, headers = service.call(f"/v1/entries/{result['position']}/receipt", "auditor")
        assert headers["Content-Type"].startswith("text/plain")
        entry = tmp_path / "entry"
        entry.write_bytes(raw)
        for text in (result["receipt"].encode(), newest):
            receipt = tmp_path / "receipt"
            receipt.write_bytes(text)
            report = service.verify("receipt", receipt, "--entry", entry)
            assert report["verdict"] == "VERIFIED"
        entry.write_bytes(raw.replace(b"hub-ledger/entry@v1", b"hub-ledger/entry@v2"))
        service.verify("receipt", receipt, "--entry", entry, code=1)


def test_a_third_partys_client_accepts_checkpoint_and_tiles(
    service: Service, recorded: list[dict[str, Any]]
) -> None:
    reader = TilesReader(HttpBackend(service.url))
    checkpoint = reader.get_checkpoint()
    vkeys = [
        Vkey.from_string(line.split()[1])
        for line in service.policy.read_text().splitlines()
        if line.startswith("log ")
    ]
    assert len(VkeySet(*vkeys).verify(checkpoint.signatures, checkpoint)) == 2
    assert reader.mth(0, checkpoint.size) == checkpoint.root_hash
    for result in recorded[::53]:
        proof = reader.get_inclusion_proof(result["position"], checkpoint.size)
        proof.check(bytes.fromhex(result["leaf_hash"]), checkpoint.root_hash)


def test_a_case_and_its_bundle(
    service: Service, recorded: list[dict[str, Any]], tmp_path: Path
) -> None:
    identified = [one.type for one in CATALOGUE.types()].index("subject.identified")
    stream = recorded[identified]["stream"]
    assert stream["kind"] == "case"
    case = stream["id"]
    status, body, _ = service.call(f"/v1/cases/{case}", "dpo")
    assert status == 400, body
    status, body, _ = service.call(f"/v1/cases/{case}", "dpo", Actor=ACTOR)
    assert status == 200, body
    state = json.loads(body)
    assert state["informed"] is True
    # The examples decline the support by mistake after it is accepted, and correct that.
    assert state["status"] == "in-support"
    assert [act["type"] for act in state["acts"] if act["corrected"]] == ["support.declined"]
    path = tmp_path / "case.zip"
    for headers in ({"Actor": ACTOR}, {"Actor": ACTOR, "Purpose_Of_Use": "review"}):
        status, raw, _ = service.call(f"/v1/cases/{case}/bundle", "dpo", **headers)
        assert status == 200
        path.write_bytes(raw)
        report = service.verify("bundle", path)
        assert report["verdict"] == "VERIFIED"
        assert any("whole" in line or "later" in line for line in report["not_shown"])
    # That was recorded, and who looked can be taken and verified as well.
    headers = {"Actor": ACTOR, "Purpose_Of_Use": "review"}
    status, raw, _ = service.call(f"/v1/streams/access/{case}/bundle", "dpo", **headers)
    assert status == 200
    path.write_bytes(raw)
    report = service.verify("bundle", path)
    assert (report["verdict"], report["subject"]) == ("VERIFIED", "stream bundle")
    status, body, _ = service.call(f"/v1/cases/{case}/bundle?at=2", "dpo", **headers)
    assert status == 400
    assert "published_after" in json.loads(body)


def test_bad_input_names_every_field_and_no_value(
    service: Service, recorded: list[dict[str, Any]]
) -> None:
    _, raw, _ = service.call("/v1/event-types", "submitter")
    example = next(
        t["example"] for t in json.loads(raw)["types"] if t["type"] == "subject.identified"
    )
    bad = {**example, "id": "Fictional Person", "hub": "Lewisham", "time": "yesterday"}
    bad["data"] = {**example["data"], "purpose": "Fictional Person", "shoe_size": 44}
    before = json.loads(service.call("/readyz", "auditor")[1])["tree_size"]
    status, body, headers = service.call("/v1/events", "submitter", bad)
    assert status == 400
    assert headers["Content-Type"].startswith("application/problem+json")
    assert b"Fictional Person" not in body
    assert b"yesterday" not in body
    problem = json.loads(body)
    pointers = json.dumps(problem)
    for name in ("/id", "/hub", "/time", "/data/purpose", "/data/shoe_size"):
        assert name in pointers
    assert json.loads(service.call("/readyz", "auditor")[1])["tree_size"] == before
    other = {**example, "data": {**example["data"], "purpose": "safeguarding"}}
    assert service.call("/v1/events", "submitter", other)[0] == 409
    late = {**example, "id": str(uuid4()), "expectedversion": 0}
    assert service.call("/v1/events", "submitter", late)[0] == 409
    assert len(recorded) > 0


def test_a_second_service_on_the_directory_is_refused(service: Service) -> None:
    done = subprocess.run(
        [str(BIN / "hub-ledger"), "init", "--data", str(service.data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "already" in done.stderr
