"""Erasure, shown: a person is recorded, shared, erased, and what is left is looked for.

Run as `python -m demo.erasure` (`make erasure`). It uses the installed commands and the HTTP
interface alone, and reads the databases only to note what is stored before the erasure. Everybody
in it is invented. It ends with 0 only if every step came out as it should.
"""

import argparse
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
from rich.console import Console
from rich.text import Text

from demo.caller import Caller, until
from demo.service import DemoError, run, serving
from ledger.catalogue import CATALOGUE
from ledger.searching import search

VERIFIED_WITHIN: Final = 30.0
"""Seconds within which the ledger has looked for what it erased."""

RECIPIENTS: Final = ("fictional-youth-trust", "fictional-school")
AUDITORS: Final = ("fictional-panel", "fictional-inspectorate")
#: A stretch of a stored ciphertext that it is looked for by: a page boundary may split the whole.
PROBE: Final = 32

Event = dict[str, Any]


class Drill:
    """One run: where its files are, and who is who."""

    def __init__(self, console: Console, work: Path) -> None:
        self.console = console
        self.data, self.policy = work / "ledger", work / "policy.txt"
        self.work, self.log = work, work / "service.log"
        self.tokens: dict[str, str] = {}
        self.case = str(uuid4())
        self.shares = [str(uuid4()) for _ in RECIPIENTS]
        self.packs: list[str] = []
        self.coordinator, self.officer = str(uuid4()), str(uuid4())

    def good(self, text: str) -> None:
        """Say what came out as it should."""
        self.console.print(Text("✓ ", style="green") + Text(text), soft_wrap=True)

    def open_ledger(self) -> None:
        """A ledger, four tokens, and the policy of whoever checks."""
        run("hub-ledger", "init", "--data", str(self.data)).must(0)
        for role in ("submitter", "coordinator", "dpo", "auditor"):
            made = run(
                "hub-ledger", "token", "create", "--data", str(self.data), "--role", role, "--all"
            ).must(0)
            self.tokens[role] = made.out.splitlines()[-1]
        self.policy.write_text(
            run("hub-ledger", "policy", "--data", str(self.data)).must(0).out, "utf-8"
        )
        self.good("A new ledger.")

    def record(self, url: str) -> None:
        """A person is identified, and their data is shared with two recipients."""
        hub = Caller(url, self.tokens["submitter"])
        hub.post(self._event("subject.identified"))
        for share, recipient in zip(self.shares, RECIPIENTS, strict=True):
            told = {"disclosure_id": share, "recipient_organisation": recipient}
            hub.post(self._event("data.disclosed", **told))
        self.good("A person was recorded, and shared with two recipients.")

    def take_copies(self, url: str) -> None:
        """Two packs are made of the case: one comes back destroyed, one does not."""
        officer = Caller(url, self.tokens["dpo"], self.officer, "inspection")
        for recipient in AUDITORS:
            officer.get(f"/v1/cases/{self.case}/bundle?for=auditor&recipient={recipient}")
        reader = Caller(url, self.tokens["dpo"], self.officer)
        page = orjson.loads(reader.get("/v1/events?types=export.produced"))
        self.packs = [item["entry"]["id"] for item in page["items"]]
        confirmed = self._event("destruction.confirmed", export_event=self.packs[0])
        officer.post({**confirmed, "subject": f"access/{self.case}"})
        self.good("Two packs were made for auditors; one of them is confirmed to be destroyed.")

    def note(self) -> list[bytes]:
        """What is stored of the person: their key as it is kept, and ciphertexts."""
        stored: list[bytes] = []
        with closing(sqlite3.connect(self.data / "keys" / "keys.sqlite")) as keys:
            stored += [
                bytes(row[0])
                for row in keys.execute(
                    "SELECT wrapped FROM stream_keys WHERE stream = ? AND key_class = 'subject'",
                    (f"case/{self.case}",),
                )
            ]
        with closing(sqlite3.connect(self.data / "ledger.sqlite")) as store:
            stored += [
                bytes(row[0])[:PROBE]
                for row in store.execute(
                    "SELECT ciphertext FROM sealed WHERE key_id ="
                    " (SELECT subject_key FROM stream_heads WHERE stream = ?)",
                    (f"case/{self.case}",),
                )
            ]
        if len(search(self.data, stored)) != len(stored):
            raise DemoError("what is stored was not found in the bytes of the data directory")
        self.good(f"Their key and {len(stored) - 1} ciphertexts are in the data directory's bytes.")
        return stored

    def erase(self, url: str) -> None:
        """The person is offered their pack; one orders, another executes; the ledger looks whether
        anything is left."""
        coordinator = Caller(url, self.tokens["coordinator"], self.coordinator)
        coordinator.post(self._event("pack.offered", actor=self.coordinator))
        order = self._event("erasure.ordered", actor=self.coordinator, erase_due=None)
        coordinator.post(order)
        officer = Caller(url, self.tokens["dpo"], self.officer)
        erasure = self._event("erasure.executed", actor=self.officer, ordered_event=order["id"])
        officer.post(erasure)
        until(lambda: self._state(url)["erasures"][0]["verified_at"], VERIFIED_WITHIN, "verified")
        found = self._state(url)
        if found["status"] != "erasing" or found["findings"]:
            raise DemoError(f"the case is {found['status']}, with {found['findings']}")
        self.good("The person was erased, under dual control, and the ledger verified it.")
        for share in self.shares:
            officer.post(self._event("recipient_erasure.requested", disclosure_id=share))
        recipient = Caller(url, self.tokens["submitter"])
        recipient.post(self._event("recipient_erasure.confirmed", disclosure_id=self.shares[0]))
        hub = Caller(url, self.tokens["submitter"])
        hub.post(self._event("source_erasure.confirmed", executed_event=erasure["id"]))
        outstanding = self._state(url)["outstanding"]
        if outstanding != [f"recipient/{self.shares[1]}"]:
            raise DemoError(f"outstanding is {outstanding}")
        self.good("Both recipients were told; one confirmed, and so did the system it came from.")
        self.good(f"Outstanding: {outstanding[0]}.")

    def certify(self, url: str) -> None:
        """Both forms of the certificate, and the log, hold offline."""
        officer = Caller(url, self.tokens["dpo"], self.officer)
        for form in ("controller", "subject"):
            path = self.work / f"{form}.certificate"
            path.write_bytes(officer.get(f"/v1/cases/{self.case}/erasure-certificate?form={form}"))
            command = ("certificate", str(path), "--policy", str(self.policy), "--json")
            report = orjson.loads(run("ledger-verify", *command).must(0).out)
            told = " ".join(report["shown"])
            listed = [name for name in (self.shares[1], *self.packs) if name in told]
            if form == "controller" and listed != [self.shares[1], self.packs[1]]:
                raise DemoError("the certificate does not list who and what is outstanding")
            if form == "subject" and any(
                name in path.read_bytes().decode("latin-1")
                for name in (self.case, self.officer, *self.shares, "lewisham")
            ):
                raise DemoError("the subject's certificate names somebody or something")
            self.good(f"ledger-verify certificate: the {form}'s form is {report['verdict']}.")
        self.good(f"It lists the copy that is outstanding: the pack {self.packs[1]}.")
        log = ("log", url, "--token", self.tokens["auditor"], "--policy", str(self.policy))
        run("ledger-verify", *log).must(0)
        self.good("ledger-verify log: every proof over the log still holds.")

    def search(self, stored: Sequence[bytes], when: str) -> None:
        """Nothing of what was stored is in any byte of any file."""
        if search(self.data, stored):
            raise DemoError("something of what was erased is still in a file")
        self.good(f"Nothing of it is in any byte of any file of the data directory ({when}).")

    def _state(self, url: str) -> dict[str, Any]:
        caller = Caller(url, self.tokens["dpo"], self.officer)
        state: dict[str, Any] = orjson.loads(caller.get(f"/v1/cases/{self.case}"))
        return state

    def _event(self, type_name: str, actor: str | None = None, **data: Any) -> Event:
        """The catalogue's example of a type, made to have happened here and just now."""
        event_type = CATALOGUE.get(type_name)
        assert event_type is not None
        example = event_type.example
        now = datetime.now(UTC) - timedelta(seconds=1)
        return {
            **example,
            "id": str(uuid4()),
            "subject": f"case/{self.case}",
            "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "actor": actor or example["actor"],
            "data": {**example["data"], **data},
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the drill; 0 if every step came out as it should, else 1."""
    parser = argparse.ArgumentParser(prog="python -m demo.erasure")
    parser.add_argument("--data", type=Path, help="keep everything in this new directory")
    options = parser.parse_args(arguments)
    console, began = Console(highlight=False), time.monotonic()
    work: Path = options.data or Path(tempfile.mkdtemp(prefix="hub-ledger-erasure-"))
    try:
        work.mkdir(mode=0o700, parents=True, exist_ok=options.data is None)
        drill = Drill(console, work)
        drill.open_ledger()
        with serving(drill.data, drill.log) as url:
            drill.record(url)
            drill.take_copies(url)
            stored = drill.note()
            drill.erase(url)
            drill.certify(url)
            drill.search(stored, "while serving")
        drill.search(stored, "after the service has stopped")
        run("hub-ledger", "fsck", "--data", str(drill.data)).must(0)
        drill.good("hub-ledger fsck: the database holds what the log says.")
    except (DemoError, FileExistsError) as error:
        console.print(Text(f"The drill stopped: {error}", style="bold red"))
        return 1
    finally:
        if options.data is None:
            shutil.rmtree(work, ignore_errors=True)
    console.print(f"Every step came out as it should, in {time.monotonic() - began:.0f} seconds.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
