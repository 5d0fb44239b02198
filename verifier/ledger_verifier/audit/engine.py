"""Verifies a whole log: everything that can be derived from its entries is derived and compared.

Guarantees, when the verdict is not FAILED: the checkpoint is signed under the policy; the entries
give its root; every cell of every hash tile is the hash of what is under it; every entry passes
`streams.EntryChecker`; and the tree at the size of each earlier checkpoint has that checkpoint's
root, so that the log only ever grew. Entries are read once, in order; memory is proportional to
the number of streams, not of entries. (RFC 6962; c2sp.org/tlog-tiles.)

With a state, what an earlier run of the same verifier under the same policy found good is not read
again: the tree goes on from there. That the log goes on from there too is shown by the signed root.
If anything fails, everything is read after all, so that the report says where.

Entries of a live log may expire while it is read: the entry that says so is then after the
checkpoint that is verified. If entries have no bytes and nothing explains it, the log is given time
to show a larger checkpoint, and is verified under that.
"""

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger_verifier.audit.history import History
from ledger_verifier.audit.identity import source_sha256
from ledger_verifier.audit.readers import AbsentError, LogReader, ReaderError
from ledger_verifier.audit.report.build import Ending, build_report
from ledger_verifier.audit.report.model import Failure, Findings, Report
from ledger_verifier.audit.resume import Binding, Resume
from ledger_verifier.audit.run import MAX_ABSENT, Manner, Progress, Run
from ledger_verifier.audit.state import State, refuse_foreign
from ledger_verifier.audit.streams import Observer
from ledger_verifier.audit.trust import Trusted, accept, check_log_keys, same_log
from ledger_verifier.formats.errors import FormatError, OtherLogError
from ledger_verifier.formats.policy import Policy

__all__ = ["MAX_ABSENT", "Options", "Progress", "verify_log"]

#: Times that a live log is verified anew because entries expired meanwhile.
_MAX_AGAIN: Final = 3


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    `unique` looks for ids and digests that occur twice. `jobs` is how many processes share the
    work. `full` reads everything, whatever the state says. `every_log_key` fails a checkpoint that
    lacks a signature by one of the log's own keys in the policy: a published one has them all, and
    what a live log serves or a witness has signed is taken for one in any case.
    `wait` is how many seconds a live log may take to publish a checkpoint as large as one it has
    issued, asked for every `poll` seconds; `clock` is monotonic.
    `policy_sha256` is the digest of the policy file as given, `subject` what a report calls the
    input. `strays` names what is in the input and belongs to no log. `observer` looks on.
    """

    unique: bool = False
    jobs: int = 1
    full: bool = False
    every_log_key: bool = False
    wait: float = 60.0
    poll: float = 2.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    policy_sha256: str | None = None
    subject: str = "log"
    strays: tuple[str, ...] = ()
    observer: Observer | None = None


def verify_log(
    reader: LogReader,
    policy: Policy,
    *,
    earlier: Sequence[Trusted] = (),
    remembered: Sequence[Trusted] = (),
    state: State | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
) -> Report:
    """Verify everything a reader yields; what the reader yields never makes this raise.

    `earlier` are checkpoints that the log must be a continuation of, as are those of its origin
    among the `remembered` (opened from `state`, which may know several logs). The checkpoint
    verified is added to `state` unless the verdict is FAILED; saving it is the caller's.
    """
    options = options or Options()
    findings = Findings()
    _refuse_strays(options.strays, findings)
    seen = [*earlier]
    trusted = _obtain(reader, policy, seen, remembered, findings, options)
    if trusted is None:
        return build_report(options.subject, findings, policy, None, options.policy_sha256)
    foreign = state is not None and refuse_foreign(state, trusted.origin, findings)
    manner = Manner(options.unique, options.jobs, options.observer, progress)
    untouched, again = deepcopy(findings), 0
    while True:
        task = _Task(reader, policy, trusted, tuple(seen), manner, options)
        run, ending, findings = task.run(findings, state)
        again += 1
        if not (reader.live and run.unexplained) or again > _MAX_AGAIN:
            break
        newer = _larger(reader, policy, trusted, options)
        if newer is None:
            break
        seen.append(trusted)
        trusted, findings = newer, deepcopy(untouched)
    binding = task.binding()
    if state is not None and not findings.failed and not foreign:
        state.add(trusted.origin, trusted.raw)
        kept = run.resume()
        if kept is not None:
            state.keep(trusted.origin, kept, binding)
    return build_report(options.subject, findings, policy, trusted, options.policy_sha256, ending)


@dataclass(frozen=True, slots=True)
class _Task:
    """A log under one checkpoint, and everything that it is held against."""

    reader: LogReader
    policy: Policy
    trusted: Trusted
    seen: tuple[Trusted, ...]
    manner: Manner
    options: Options

    def run(self, findings: Findings, state: State | None) -> tuple[Run, Ending, Findings]:
        """Verify, from where an earlier run ended if that may be."""
        resume = None if findings.failed else self.resumable(state, self.binding())
        if resume is None:
            return *self.attempt(findings), findings
        return self.go_on(resume, findings)

    def attempt(self, findings: Findings, earlier: Resume | None = None) -> tuple[Run, Ending]:
        """Verify everything, or what came after `earlier`."""
        seen = self.seen if earlier is None else self._still_to_compare(earlier.size)
        history = History(self.trusted, seen, findings)
        history.judge_larger(self.reader.live, self.options.wait)
        run = Run(self.reader, self.trusted, findings, history, self.manner, earlier)
        ending = run.verify()
        published = self.options.every_log_key or self.reader.live
        check_log_keys(self.trusted, self.policy, findings, published=published)
        return run, ending

    def go_on(self, earlier: Resume, findings: Findings) -> tuple[Run, Ending, Findings]:
        """Verify what came after `earlier`; everything, if that fails."""
        untouched = deepcopy(findings)
        run, ending = self.attempt(findings, earlier)
        if not findings.failed:
            known = same_log(self.seen, self.trusted.origin)
            for before in (k for k in known if k.size < earlier.size):
                findings.compare(before.size, before.label, agrees=True, then=True)
            findings.not_assessed.append(
                f"the first {earlier.size} entries one by one: this verifier found them good "
                "earlier, as the state file says, and they are those that the checkpoint signs "
                "(--full reads them again)"
            )
            return run, ending, findings
        whole_run, whole = self.attempt(untouched)
        if not untouched.failed:
            untouched.fail(
                Failure(
                    f"the log is not a continuation of the {earlier.size} entries that the state "
                    "file says were verified, although what it shows now holds together: either "
                    "the file was altered, or the log shows different things at different times"
                )
            )
            for failure in findings.failures:
                untouched.fail(failure)
        return whole_run, whole, untouched

    def binding(self) -> Binding:
        """What the result of this run will hold for."""
        known = (*same_log(self.seen, self.trusted.origin), self.trusted)
        return Binding(
            sha256(self.policy.encode()).hexdigest(),
            source_sha256(),
            frozenset(sha256(k.raw).hexdigest() for k in known if k.size <= self.trusted.size),
        )

    def resumable(self, state: State | None, binding: Binding) -> Resume | None:
        """Where an earlier run ended, if this one may go on from there: it was the same verifier
        under the same policy, and every smaller checkpoint known now was known then."""
        kept = None if state is None else state.resume(self.trusted.origin)
        if (
            kept is None
            or self.options.full
            or self.manner.unique
            or self.manner.observer is not None
        ):
            return None
        resume, then = kept
        if (then.policy, then.verifier) != (binding.policy, binding.verifier):
            return None
        known = same_log(self.seen, self.trusted.origin)
        smaller = {sha256(k.raw).hexdigest() for k in known if k.size < resume.size}
        if resume.size > self.trusted.size or not smaller <= then.checkpoints:
            return None
        # The checkpoint of that size is still compared: it is what the tree must go on from.
        signed = any((k.size, k.root) == (resume.size, resume.root) for k in known)
        return resume if signed else None

    def _still_to_compare(self, size: int) -> tuple[Trusted, ...]:
        origin = self.trusted.origin
        return tuple(k for k in self.seen if k.origin != origin or k.size >= size)


def _refuse_strays(strays: Sequence[str], findings: Findings) -> None:
    """One failure for all, so that a flood of them pushes out nothing that another check finds."""
    if strays:
        more = f" ({len(strays) - 1} more such members)" if len(strays) > 1 else ""
        findings.fail(Failure(f"{strays[0]} is no part of a log, yet it is in the bundle{more}"))


def _obtain(
    reader: LogReader,
    policy: Policy,
    seen: list[Trusted],
    remembered: Sequence[Trusted],
    findings: Findings,
    options: Options,
) -> Trusted | None:
    """The checkpoint to verify. What is remembered of its log joins `seen`. A live log is given
    time to catch up with the largest checkpoint that it has issued; what it served meanwhile joins
    `seen` too. An error meanwhile ends nothing: to answer with one now and then, or to the end,
    would be a way not to be held to what was signed."""
    trusted = _checkpoint(reader, policy, findings)
    if trusted is None:
        return None
    seen.extend(same_log(remembered, trusted.origin))
    largest = max((known.size for known in same_log(seen, trusted.origin)), default=0)
    deadline = options.clock() + options.wait
    failures: dict[str, Failure] = {}
    lacking: list[str] = []
    while reader.live and trusted.size < largest and options.clock() < deadline:
        options.sleep(options.poll)
        answer = Findings()
        again = _checkpoint(reader, policy, answer)
        failures.update((failure.reason, failure) for failure in answer.failures)
        lacking.extend(answer.lacking)
        if again is not None and again.raw != trusted.raw:
            seen.append(trusted)
            trusted = again
    for failure in failures.values():
        findings.fail(failure)
    if trusted.size < largest:
        for reason in lacking:
            findings.lack(f"while the log was waited for: {reason}")
    return trusted


def _larger(
    reader: LogReader, policy: Policy, trusted: Trusted, options: Options
) -> Trusted | None:
    """A larger checkpoint of this log, once it shows one; None when it does not in time."""
    deadline = options.clock() + options.wait
    while True:
        newer = _checkpoint(reader, policy, Findings())
        if newer is not None and newer.origin == trusted.origin and newer.size > trusted.size:
            return newer
        if options.clock() >= deadline:
            return None
        options.sleep(options.poll)


def _checkpoint(reader: LogReader, policy: Policy, findings: Findings) -> Trusted | None:
    try:
        return accept(reader.checkpoint(), policy, "the checkpoint served")
    except OtherLogError as error:
        findings.lack(str(error))
    except (AbsentError, FormatError) as error:
        findings.fail(Failure(f"checkpoint: {error}"))
    except ReaderError as error:
        findings.lack(f"checkpoint: {error}")
    return None
