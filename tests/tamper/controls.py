"""What is no attack, and must be found clean: the counterpart that makes the attacks count.

Beside leaving everything alone, it is done what the forger does, to the same content: if the
forger's tools left traces of their own, an attack might be caught by those alone.
"""

from random import Random

from tests.tamper.database import Stored
from tests.tamper.given import Case, Certified, Receipt
from tests.tamper.matrix import Control
from tests.tamper.served import Served


def nothing(_stage: object, _random: Random) -> None:
    """Leave everything as it is."""


def rewritten(stored: Stored, random: Random) -> None:
    """Entries moved and moved back, every signature made anew, another guard file."""
    at = random.randrange(1, stored.size)
    stored.shift(at, 1, everywhere=True)
    stored.shift(at + 1, -1, everywhere=True)
    stored.forge(stored.subject.entries)


def resealed(stored: Stored, random: Random) -> None:
    """A row opened and sealed anew with the vault's keys."""
    row = random.choice(stored.sealed())
    stored.set_sealed(stored.resealed(row, stored.opened(row)))


def signed_anew(served: Served, random: Random) -> None:
    """The same log under a new checkpoint, against what the auditor kept and a receipt."""
    served.rewrite(served.entries(), served.signing)
    served.earlier.append(random.choice(list(served.subject.receipts.values())))


def any_receipt(receipt: Receipt, random: Random) -> None:
    receipt.choose(random)


def any_case(case: Case, random: Random) -> None:
    case.choose(random)


def any_certificate(certified: Certified, random: Random) -> None:
    certified.choose(random)


STORED: dict[str, Control] = {
    "nothing changed": nothing,
    "everything rewritten and signed with the same content": rewritten,
    "a sealed row sealed anew with the same content": resealed,
}
SERVED: dict[str, Control] = {
    "nothing changed": nothing,
    "signed anew with the same content: against checkpoints kept and a receipt": signed_anew,
}
RECEIPT: dict[str, Control] = {"nothing changed": any_receipt}
CERTIFICATE: dict[str, Control] = {"nothing changed": any_certificate}
EXPIRED: dict[str, Control] = {"nothing changed": nothing}
CASE: dict[str, Control] = {"nothing changed": any_case}
