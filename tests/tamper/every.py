"""Every target with the attacks on it, and the controls."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.tamper import (
    controls,
    on_certificates,
    on_checkpoint,
    on_entries,
    on_expired,
    on_given,
    on_meaning,
    on_packs,
    on_served,
    on_signed,
    on_tables,
)
from tests.tamper.database import DatabaseTarget
from tests.tamper.expired import ExpiredTarget, make_expired
from tests.tamper.given import CaseTarget, CertificateTarget, PackTarget, ReceiptTarget
from tests.tamper.matrix import Attack, Attacks, Control, Done, Row, Target, run, run_control
from tests.tamper.served import BundleTarget, HttpTarget
from tests.tamper.subject import SERVED_SIZE, STORED_SIZE, Subject, make_subject


@dataclass(frozen=True, slots=True)
class Group:
    """A target, and what is done to it. `source` names the ledger that it is made from: all but
    the databases are made from one on SQLite, since they would be the same from the other.
    `share` is how many groups share the instances of a kind: both databases get the same attacks.
    """

    source: str
    attacks: Sequence[Attack]
    controls: Mapping[str, Control]
    share: int = 1

    def part(self, instances: int) -> int:
        """Of that many instances, this group's part."""
        return -(-instances // self.share)


def _of_checkpoint(attacks: Attacks) -> list[Attack]:
    return [Attack(f"checkpoint: {attack.kind}", attack.play) for attack in attacks]


STORED = (*on_entries.ATTACKS, *on_tables.ATTACKS, *on_signed.ATTACKS, *on_meaning.ATTACKS)
SERVED = (*on_served.ATTACKS, *on_meaning.ATTACKS, *_of_checkpoint(on_checkpoint.ATTACKS))
HTTP = (*on_served.HTTP_ATTACKS, *_of_checkpoint(on_checkpoint.HTTP_ATTACKS))

#: Longest first, so that all processors are busy to the end.
GROUPS: dict[str, Group] = {
    "PostgreSQL": Group("PostgreSQL", STORED, controls.STORED, share=2),
    "SQLite": Group("SQLite", STORED, controls.STORED, share=2),
    "served tiles": Group("served", (*SERVED, *HTTP), controls.SERVED),
    "log bundle": Group("served", (*SERVED, *on_served.BUNDLE_ATTACKS), controls.SERVED),
    "case bundle": Group("served", on_given.CASE_ATTACKS, controls.CASE),
    "pack": Group("served", on_packs.ATTACKS, controls.CASE),
    "erasure certificate": Group("served", on_certificates.ATTACKS, controls.CERTIFICATE),
    "SQLite, expired": Group("expired", on_expired.STORED_ATTACKS, controls.EXPIRED),
    "log bundle, expired": Group("expired", on_expired.ATTACKS, controls.EXPIRED),
    "receipt": Group("served", on_given.RECEIPT_ATTACKS, controls.RECEIPT),
}


def make_source(name: str, folder: Path, database: str | None = None) -> Subject:
    """The ledger that a group is made from; `database` is the URL for the one on PostgreSQL."""
    if name == "expired":
        return make_expired(folder / "expired-data")
    size = SERVED_SIZE if name == "served" else STORED_SIZE
    return make_subject(folder / f"{name}-data", size, database if name == "PostgreSQL" else None)


@contextmanager
def target_of(group: str, subject: Subject, folder: Path) -> Iterator[Target]:
    """The target of a group. `folder` is for a copy of the ledger's data directory."""
    if group in ("SQLite", "PostgreSQL", "SQLite, expired"):
        with closing(DatabaseTarget(subject, folder, group)) as database:
            yield database
    elif group == "served tiles":
        with closing(HttpTarget(subject)) as http:
            yield http
    elif group == "log bundle":
        yield BundleTarget(subject)
    else:
        yield _GIVEN[group](subject)


#: What somebody was given, which needs no end.
_GIVEN: dict[str, Callable[[Subject], Target]] = {
    "receipt": ReceiptTarget,
    "log bundle, expired": ExpiredTarget,
    "case bundle": CaseTarget,
    "pack": PackTarget,
    "erasure certificate": CertificateTarget,
}


def chosen(group: str, only: str) -> tuple[list[Attack], dict[str, Control]]:
    """The attacks and controls of a group whose names match a pattern."""
    attacks = [attack for attack in GROUPS[group].attacks if re.search(only, attack.kind)]
    return attacks, {n: c for n, c in GROUPS[group].controls.items() if re.search(only, n)}


def run_group(
    group: str, subject: Subject, folder: Path, instances: int, seed: int, only: str, done: Done
) -> tuple[list[Row], list[Row]]:
    """Run the controls and the attacks of a group, its part of that many instances of each;
    returns both as rows."""
    instances = GROUPS[group].part(instances)
    attacks, no_attacks = chosen(group, only)
    with target_of(group, subject, folder) as target:
        clean = [
            run_control(name, control, target, instances, seed, done)
            for name, control in no_attacks.items()
        ]
        return clean, [run(attack, target, instances, seed, done) for attack in attacks]
