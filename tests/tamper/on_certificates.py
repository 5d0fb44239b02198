"""Attacks on erasure certificates, in either form or in both."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from ledger_verifier.formats.bundle import CHECKPOINT, entry_name, proof_name
from ledger_verifier.formats.certificate import CERTIFICATE, Certificate
from ledger_verifier.formats.note import Note
from tests.tamper import forge
from tests.tamper.forge import Signing
from tests.tamper.given import Certified
from tests.tamper.matrix import Attacks, Expected
from tests.tamper.on_given import NOT_SHOWN, altered_checkpoint

ATTACKS = Attacks()
CONTROLLER, SUBJECT = "controller", "subject"


def _said(certified: Certified) -> Certificate:
    return Certificate.parse(Note.parse(certified.members[CERTIFICATE]).text)


def _sign(certified: Certified, other: Certificate, signing: Signing | None = None) -> None:
    """State something else, signed by the real key unless by another."""
    line = (signing or certified.signing).ed25519.sign(other.text)
    certified.members[CERTIFICATE] = Note(other.text, (line,)).encode()


@ATTACKS.kind("a stated fact changed under the old signature")
def fact(certified: Certified, random: Random) -> Expected:
    certified.choose(random)
    said = _said(certified)
    day = f"{random.randrange(2020, 2030)}-01-01"
    exports = {**said.exports, "taken": said.exports["taken"] + 1}
    exports["destroyed"] = said.exports["destroyed"] + 1
    other = random.choice(
        [
            replace(said, issued_at=f"{day}T00:00:00.000Z", exports={**_none(said)}),
            replace(said, facts={**said.facts, "erased_on": day}),
            replace(said, exports=exports),
            replace(said, nonce=forge.random_nonce(random)),
        ]
    )
    signatures = Note.parse(certified.members[CERTIFICATE]).signatures
    certified.members[CERTIFICATE] = Note(other.text, signatures).encode()
    return Expected(words="the signature on the certificate does not verify")


def _none(said: Certificate) -> dict[str, Any]:
    listed: dict[str, Any] = {"outstanding": []} if said.form == CONTROLLER else {}
    return {"taken": 0, "destroyed": 0, **listed}


@ATTACKS.kind("one byte of a signature on a certificate changed")
def signature(certified: Certified, random: Random) -> Expected:
    certified.choose(random)
    certified.members[CERTIFICATE] = forge.flipped_signature(certified.members[CERTIFICATE], random)
    return Expected(words="the signature on the certificate does not verify")


@ATTACKS.kind("the signature of another certificate of the log")
def swapped(certified: Certified, random: Random) -> Expected:
    certified.choose(random)
    own = Note.parse(certified.members[CERTIFICATE])
    others = [Note.parse(one[CERTIFICATE]) for one in certified.subject.certificates]
    other = random.choice([note for note in others if note.text != own.text])
    certified.members[CERTIFICATE] = Note(own.text, other.signatures).encode()
    return Expected(words="the signature on the certificate does not verify")


@ATTACKS.kind("a certificate signed by another key")
def stranger(certified: Certified, random: Random) -> Expected:
    certified.choose(random)
    _sign(certified, _said(certified), Signing.false(certified.subject.directory.origin))
    return Expected(words="not signed by the log that it names")


@ATTACKS.kind("the certificate of another case's erasure")
def of_another(certified: Certified, random: Random) -> Expected:
    """A genuine one of the same form, over what was enclosed with this one."""
    certified.choose(random)
    form, own = _said(certified).form, certified.members[CERTIFICATE]
    others = [
        one[CERTIFICATE]
        for one in certified.subject.certificates
        if one[CERTIFICATE] != own
        and Certificate.parse(Note.parse(one[CERTIFICATE]).text).form == form
    ]
    certified.members[CERTIFICATE] = random.choice(others)
    return Expected(words="not of the log and size|names other entries|not the one|is in the file")


@ATTACKS.kind("a leaf altered, signed by the real key")
def leaf(certified: Certified, random: Random) -> Expected:
    certified.choose(random)
    said = _said(certified)
    number = random.randrange(len(said.leaves))
    at, _ = said.leaves[number]
    leaves = list(said.leaves)
    leaves[number] = (at, forge.hash_of(random).hex())
    _sign(certified, replace(said, leaves=tuple(leaves)))
    return Expected(at, words=NOT_SHOWN)


@ATTACKS.kind("a proof of a certificate changed, or that of another leaf")
def proof(certified: Certified, random: Random) -> Expected:
    """One that is missing leaves the certificate UNVERIFIABLE, and no lie."""
    certified.choose(random)
    places = [at for at, _ in _said(certified).leaves]
    at, other = random.sample(places, 2) if len(places) > 1 else (places[0], places[0])
    raw = certified.members[proof_name(at)]
    taken = certified.members[proof_name(other)]
    changed = taken if taken != raw and random.random() < 0.5 else forge.flipped(raw, random)
    certified.members[proof_name(at)] = changed
    return Expected(at, words=NOT_SHOWN)


@ATTACKS.kind("a certificate's checkpoint changed: signature, size, root or origin")
def checkpoint(certified: Certified, random: Random) -> Expected:
    certified.choose(random)
    raw = certified.members[CHECKPOINT]
    certified.members[CHECKPOINT] = altered_checkpoint(raw, random)
    return Expected(words="checkpoint|signature")


@ATTACKS.kind("a member too many in a certificate")
def too_many(certified: Certified, random: Random) -> Expected:
    certified.choose(random)
    name = f"entries/{random.randrange(10**11, 10**12):012d}"
    certified.members[name] = random.choice(certified.subject.entries)
    return Expected(words=f"^{name} is in the")


@ATTACKS.kind("an outstanding recipient or system left out, signed by the real key")
def outstanding(certified: Certified, random: Random) -> Expected:
    certified.choose(random, CONTROLLER)
    said = _said(certified)
    _sign(certified, replace(said, facts=_with_less(said.facts, random)))
    return Expected(words="states what the entries enclosed do not show")


def _with_less(stated: Any, random: Random) -> dict[str, Any]:
    facts = dict(stated)
    name = random.choice(["outstanding", "recipients", "sources", "erasures", "findings"])
    rows: Sequence[Any] = facts[name] or [None]
    gone = random.randrange(len(rows))
    facts[name] = [row for number, row in enumerate(facts[name]) if number != gone]
    return facts if facts != dict(stated) else {**facts, "status": "erasure-complete"}


@ATTACKS.kind("an outstanding copy left out or made good, signed by the real key")
def copies(certified: Certified, random: Random) -> Expected:
    """Whoever has the key can change the counts with it: that rests on its word."""
    certified.choose(random, CONTROLLER)
    said = _said(certified)
    listed = list(said.exports["outstanding"])
    number = random.randrange(len(listed))
    if random.random() < 0.5:
        del listed[number]
    else:
        listed[number] = {**listed[number], "overdue": True}
    _sign(certified, replace(said, exports={**said.exports, "outstanding": listed}))
    return Expected(words="exports")


@ATTACKS.kind("an entry enclosed with a certificate changed")
def entry(certified: Certified, random: Random) -> Expected:
    certified.choose(random, CONTROLLER)
    at = random.choice([place for place, _ in _said(certified).leaves])
    certified.members[entry_name(at)] = forge.flipped(certified.members[entry_name(at)], random)
    return Expected(at)


@ATTACKS.kind("other facts or words in a person's certificate, signed by the real key")
def told(certified: Certified, random: Random) -> Expected:
    certified.choose(random, SUBJECT)
    said = _said(certified)
    change: dict[str, Any] = random.choice(
        [
            {"notice": "All is well."},
            {"stream": f"case/{forge.random_uuid(random)}"},
            {"copies": {"taken": 0, "destroyed": 0, "kept": 0}},
            {"recipients": [{"category": "x", "told": True, "confirmed": True, "name": "x"}]},
            {"erased_on": forge.random_uuid(random)},
        ]
    )
    _sign(certified, replace(said, facts={**said.facts, **change}))
    return Expected(words="does not state what one for the person does")
