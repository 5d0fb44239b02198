"""The steps of the demonstration, in the order in which they are shown.

Each step says what it is about to do, does it with the installed commands or over HTTP,
and raises DemoError unless the outcome is the one it must be.
"""

import json
import textwrap
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from demo import cases, client, simulate
from demo.acts import make_reference
from demo.caller import Caller, until
from demo.copy import alter_one_byte
from demo.service import DemoError, Ran, run
from ledger_verifier.formats.checkpoint import Checkpoint
from ledger_verifier.formats.note import Note

VERIFIED: Final = 0
FAILED: Final = 1

PUBLISHED_WITHIN: Final = 60.0
"""Seconds within which everything recorded is covered by a published checkpoint."""

WIDTH: Final = 80


class Tour:
    """One run of the demonstration: where its files are, and what it has recorded so far."""

    def __init__(self, console: Console, work: Path, seed: int, cases: int, referrals: int) -> None:
        self.console = console
        self.data = work / "ledger"
        self.log = work / "service.log"
        self.policy = work / "policy.txt"
        self.work = work
        self.seed, self.cases, self.referrals = seed, cases, referrals
        self.tokens: dict[str, str] = {}
        self.recorded: list[client.Receipted] = []
        self._rng = Random(seed)
        self._step = 0

    # --- what is shown -------------------------------------------------------------------

    def welcome(self) -> None:
        """Say what this is."""
        self.console.print()
        self.console.print("[bold]Hub Ledger: a demonstration[/]")
        self._say(
            "A ledger is opened on this computer, a simulated year of two hubs is recorded in "
            "it, and then it is checked the way an outside auditor would check it. Everybody in "
            "it, and everything that happens to them, is invented."
        )

    def _head(self, title: str) -> None:
        self._step += 1
        self.console.print()
        self.console.print(f"[bold cyan]{self._step}. {title}[/]")

    def _say(self, text: str) -> None:
        for line in textwrap.wrap(text, WIDTH):
            self.console.print("   " + line, markup=False, soft_wrap=True)

    def _good(self, text: str) -> None:
        first, *rest = textwrap.wrap(text, WIDTH)
        self.console.print(f"   [green]✓[/] {first}", soft_wrap=True)
        for line in rest:
            self.console.print("     " + line, markup=False, soft_wrap=True)

    def _show(self, ran: Ran, before: str | None = None) -> None:
        """Show a command and what it printed; only what comes before a heading, if one is given."""
        words = ["TOKEN" if word in self.tokens.values() else word for word in ran.command]
        printed = (ran.out + ran.err).rstrip().splitlines()
        if before in printed:
            printed = [*printed[: printed.index(before)], "(and more)"]
        self.console.print()
        for number, line in enumerate(["$ " + " ".join(words), *printed]):
            text = Text(
                "   " + line.replace(f"{self.work}/", ""), style="dim" if number else "bold"
            )
            self.console.print(text, soft_wrap=True)
        self.console.print()

    # --- 1: a ledger ---------------------------------------------------------------------

    def open_ledger(self) -> None:
        """Create the log, its keys, four tokens, and the auditor's policy file."""
        self._head("Open a ledger")
        run("hub-ledger", "init", "--data", str(self.data)).must(0)
        for role in ("submitter", "coordinator", "dpo", "auditor"):
            made = run(
                "hub-ledger", "token", "create", "--data", str(self.data), "--role", role, "--all"
            ).must(0)
            self.tokens[role] = made.out.splitlines()[-1]
        policy = run("hub-ledger", "policy", "--data", str(self.data)).must(0).out
        self.policy.write_text(policy, "utf-8")
        self._good("A new log with its signing keys, readable by this user alone.")
        self._good(
            "Tokens for a hub's system, its coordinator, a data protection officer, an auditor."
        )
        self._good("The auditor's policy: which keys to trust. In life it comes by another road.")

    # --- 2: a year -----------------------------------------------------------------------

    async def record_year(self, url: str) -> None:
        """Post the simulated year, with a progress bar."""
        self._head("Record a year")
        events = list(simulate.events(self.seed, self.cases, self.referrals))
        self._say(
            f"{self.cases} people identified in Lewisham and what followed, and {self.referrals} "
            f"pieces of content referred by Project Alpha: {len(events):,} events, some posted "
            "one at a time and some in batches. Each is answered only when it is on disk."
        )
        self.console.print()
        bar = Progress(
            TextColumn("   Recording"),
            BarColumn(40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
        )
        began = time.monotonic()
        with bar:
            task = bar.add_task("", total=len(events))

            def note(receipted: list[client.Receipted]) -> None:
                self.recorded.extend(receipted)
                bar.advance(task, len(receipted))

            await client.record(url, self.tokens["submitter"], events, note)
        seconds = time.monotonic() - began
        self.console.print()
        if len(self.recorded) != len(events):
            raise DemoError(f"{len(self.recorded)} of {len(events)} events were recorded")
        self._good(
            f"{len(events):,} events in {seconds:.1f} s: {len(events) / seconds:,.0f} a second."
        )

    # --- 3 to 5: checking ------------------------------------------------------------------

    def verify_live(self, url: str) -> None:
        """As an auditor with the verifier and the policy: the whole log, from the live service."""
        self._head("Check the whole log, from outside")
        self._say(
            "The auditor has the policy and the verifier, a program that contains nothing of the "
            "service. It fetches every entry and works everything out again."
        )
        self._await_publication(url)
        self._show(self._verify_log(url))
        self._good("Nothing was changed, moved, removed or inserted.")

    def verify_case(self, url: str) -> None:
        """One case in a file, with what the data protection officer may open of it."""
        self._head("Check one case, offline")
        self._say(
            "A data protection officer takes one case away as a file. The reading is itself "
            "recorded. The file can be checked on a computer that has never seen the service."
        )
        bundle = self._take_case(url, "case.zip")
        self._show(self._verify("bundle", bundle).must(VERIFIED), before="Checkpoint")
        self._good("The case is as it was recorded, and what was opened is what was committed to.")

    def verify_receipt(self, url: str) -> None:
        """One entry and its receipt, as a hub or a person would keep them."""
        self._head("Check one receipt, offline")
        kept = self._first("subject.notified")
        self._say(
            "Every event is answered with a receipt. This one says that a person was told why they "
            f"were identified: entry {kept.reply['position']}. Whoever keeps it can show, with no "
            "help from anybody, that it was recorded."
        )
        self._keep_receipt(url, kept)
        self._show(self._check_receipt(), before="Checkpoint")
        self._good("The entry is in the log that the receipt was signed for.")

    # --- 6: erasure ------------------------------------------------------------------------

    def erase_person(self, url: str) -> None:
        """Erase the person of that case; what is sealed is gone, what is proved still holds."""
        self._head("Erase a person, and prove it")
        identified = self._of_the_case("subject.identified")
        officer = self._officer(url)
        path = f"/v1/entries/{identified.reply['position']}/sealed"
        before = json.loads(officer.get(path))["fields"]
        self._say(
            f"Entry {identified.reply['position']} commits to {len(before)} sealed fields, which "
            f"the data protection officer can open: the name is {before['name']}, who does not "
            "exist."
        )
        self.console.print()
        coordinator = Caller(url, self.tokens["coordinator"])
        order = self._erasure_order(identified.event)
        coordinator.post(order)
        self._good("The hub's coordinator orders the erasure: that is an entry too.")
        officer.post(self._erasure(identified.event, order["id"]))
        self._good("The officer carries it out; the key is destroyed, the sealed fields deleted.")
        status, body = officer.ask(path)
        left = set(json.loads(body).get("fields", {})) if status == 200 else set()
        if status not in (200, 404) or left & {"name", "date_of_birth", "address", "reasons"}:
            raise DemoError(f"after the erasure, the sealed fields were answered with {status}")
        self._good("Asked again, the service can no longer say who it was.")
        self._await_publication(url)
        self._verify_log(url)
        self._good("The whole log still verifies.")
        self._verify("bundle", self._take_case(url, "erased.zip")).must(VERIFIED)
        self._good("The case, taken away again, still verifies: with nothing of the person in it.")
        self._check_receipt()
        self._good("The receipt from before the erasure still verifies.")

    # --- 7 and 8: tampering, and the operator's own check -------------------------------------

    def catch_forger(self, url: str) -> None:
        """Copy the log, change one byte of the copy, and have the verifier find it."""
        self._head("Change one byte")
        chosen = self._early("data.disclosed")
        position = chosen.reply["position"]
        self._say(
            "A copy of the log is put in one file. It verifies. Then one digit is changed, in the "
            f"day on which entry {position} says that data about somebody was disclosed."
        )
        copy, forged = self.work / "copy.zip", self.work / "forged.zip"
        self._verify_log(url, "--save", copy)
        self._verify("bundle", copy).must(VERIFIED)
        alter_one_byte(copy, position, forged)
        self._show(self._verify("bundle", forged).must(FAILED), before="Checkpoint")
        found = json.loads(self._verify("bundle", forged, "--json").out)
        if found["verdict"] != "FAILED" or found["failures"][0]["position"] != position:
            raise DemoError(f"the forged entry {position} was not located: {found['failures'][:3]}")
        self._good(f"The verifier refuses the copy, with exit code 1, and names entry {position}.")

    def check_database(self) -> None:
        """The operator's check of the database itself, with the same engine."""
        self._head("Check the database")
        self._say("The service is stopped. Its operator checks the database with the same engine.")
        checked = run("hub-ledger", "fsck", "--data", str(self.data)).must(VERIFIED)
        self._show(checked, before="Checkpoint")
        self._good("The database holds what the log says.")

    # --- helpers -----------------------------------------------------------------------------

    def _verify(self, what: str, *arguments: object) -> Ran:
        command = ["ledger-verify", what, *map(str, arguments), "--policy", str(self.policy)]
        return run(*command)

    def _verify_log(self, url: str, *more: object) -> Ran:
        return self._verify("log", url, "--token", self.tokens["auditor"], *more).must(VERIFIED)

    def _check_receipt(self) -> Ran:
        receipt, entry = self.work / "receipt.txt", self.work / "entry.json"
        return self._verify("receipt", receipt, "--entry", entry).must(VERIFIED)

    def _keep_receipt(self, url: str, kept: client.Receipted) -> None:
        position = kept.reply["position"]
        reader = Caller(url, self.tokens["submitter"], make_reference(self._rng))
        entry = reader.get(f"/v1/entries/{position}")
        (self.work / "receipt.txt").write_text(kept.reply["receipt"], "utf-8", newline="")
        (self.work / "entry.json").write_bytes(entry)

    def _take_case(self, url: str, name: str) -> Path:
        case = self._first("subject.notified").event["subject"].partition("/")[2]
        bundle = self._officer(url).get(f"/v1/cases/{case}/bundle")
        (self.work / name).write_bytes(bundle)
        return self.work / name

    def _officer(self, url: str) -> Caller:
        return Caller(url, self.tokens["dpo"], make_reference(self._rng), "review")

    def _erasure_order(self, event: client.Event) -> client.Event:
        """The order to erase the person of an event's stream, given a moment ago."""
        order = cases.erasure_order("request-of-the-person", datetime.now(UTC).date().isoformat())
        return self._just_now(event, "erasure.ordered", make_reference(self._rng), order)

    def _erasure(self, event: client.Event, order: str) -> client.Event:
        """The erasure of the person of an event's stream, carried out a moment ago as ordered."""
        actor, second = make_reference(self._rng), make_reference(self._rng)
        data = {**cases.erasure(actor, second), "ordered_event": order}
        return self._just_now(event, "erasure.executed", actor, data)

    def _just_now(
        self, event: client.Event, type_name: str, actor: str, data: dict[str, Any]
    ) -> client.Event:
        now = datetime.now(UTC) - timedelta(seconds=1)
        return {
            **event,
            "id": make_reference(self._rng),
            "type": type_name,
            "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "actor": actor,
            "data": data,
        }

    def _where(self, wanted: Callable[[client.Event], bool], what: str) -> client.Receipted:
        for receipted in self.recorded:
            if wanted(receipted.event):
                return receipted
        raise DemoError(f"the simulated year has no {what}")

    def _first(self, type_name: str) -> client.Receipted:
        return self._where(lambda event: event["type"] == type_name, type_name)

    def _early(self, type_name: str) -> client.Receipted:
        """The first of a type that happened on a day before the 29th."""
        return self._where(
            lambda event: event["type"] == type_name and int(event["time"][8:10]) < 29, type_name
        )

    def _of_the_case(self, type_name: str) -> client.Receipted:
        subject = self._first("subject.notified").event["subject"]
        return self._where(
            lambda event: event["subject"] == subject and event["type"] == type_name, type_name
        )

    def _await_publication(self, url: str) -> None:
        """Wait until a published checkpoint covers everything that is recorded."""
        caller = Caller(url)
        size: int = json.loads(caller.get("/readyz"))["tree_size"]

        def published() -> bool:
            note = Note.parse(caller.get("/checkpoint"))
            return Checkpoint.parse(note.text).size >= size

        until(published, PUBLISHED_WITHIN, "a published checkpoint that covers every entry")
