"""Attacks on packs on their way to their readers: the signed cover, and what it covers."""

import re
from dataclasses import replace
from random import Random

from ledger_verifier.audit.person import PAGE
from ledger_verifier.formats.bundle import disclosures_name, entry_name, proof_name
from ledger_verifier.formats.cover import COVER, NONCE, WORDS, Cover, digest_of, encode_nonce
from ledger_verifier.formats.disclosure import b64url
from ledger_verifier.formats.note import Note
from tests.tamper import forge
from tests.tamper.forge import Signing
from tests.tamper.given import Pack
from tests.tamper.matrix import Attacks, Expected

ATTACKS = Attacks()

OF_COVER = "^cover: "
OTHER_CONTENTS = "^cover: it was signed over other contents"


def _resaid(pack: Pack, **facts: str) -> None:
    """Other facts above the same signature, in the words that such a cover has."""
    note = Note.parse(pack.members[COVER])
    said = Cover.parse(note.text)
    values = {name: getattr(said, name) for name in Cover.__dataclass_fields__} | facts
    pack.members[COVER] = Note(Cover(**values).text, note.signatures).encode()


@ATTACKS.kind("one byte of the cover changed")
def byte(pack: Pack, random: Random) -> Expected:
    pack.choose(random)
    pack.members[COVER] = forge.flipped(pack.members[COVER], random)
    return Expected(words=OF_COVER)


@ATTACKS.kind("the cover names another reader, recipient, purpose or day")
def facts(pack: Pack, random: Random) -> Expected:
    pack.choose(random)
    said = Cover.parse(Note.parse(pack.members[COVER]).text)
    name, value = random.choice(
        [
            ("audience", random.choice(sorted(set(WORDS) - {said.audience}))),
            ("recipient", f"tabloid-{random.randrange(100)}"),
            ("purpose", "support"),
            ("expires_on", f"{random.randrange(2030, 2999)}-01-01"),
        ]
    )
    _resaid(pack, **{name: value})
    return Expected(words="^cover: not signed by a key of the log")


@ATTACKS.kind("the cover's own words changed, signed by the real key")
def words(pack: Pack, random: Random) -> Expected:
    """Every pack for a kind of reader says the same, whoever signs."""
    pack.choose(random)
    lines = Note.parse(pack.members[COVER]).text.splitlines()
    del lines[random.randrange(8, len(lines))]
    text = "".join(f"{line}\n" for line in lines)
    line = pack.signing.ed25519.sign(text)
    pack.members[COVER] = Note(text, (line,)).encode()
    return Expected(words="^cover: the cover")


@ATTACKS.kind("the cover of another pack of the log")
def transplanted(pack: Pack, random: Random) -> Expected:
    pack.choose(random)
    own = pack.members[COVER]
    others = [other[COVER] for other in pack.subject.packs if other[COVER] != own]
    pack.members[COVER] = random.choice(others)
    return Expected(words=OTHER_CONTENTS)


@ATTACKS.kind("the cover of a pack of the same contents for another recipient")
def exchanged(pack: Pack, random: Random) -> Expected:
    """Signed by the real key, as the service would have."""
    pack.choose(random)
    other = pack.members | {NONCE: encode_nonce(b64url(random.randbytes(16)))}
    said = Cover.parse(Note.parse(pack.members[COVER]).text)
    text = replace(said, recipient="city-hall", members=digest_of(other.items())).text
    pack.members[COVER] = Note(text, (pack.signing.ed25519.sign(text),)).encode()
    return Expected(words=OTHER_CONTENTS)


@ATTACKS.kind("the cover taken off, and the nonce left")
def uncovered(pack: Pack, random: Random) -> Expected:
    pack.choose(random)
    del pack.members[COVER]
    return Expected(words="^nonce: the cover of this pack was taken off")


@ATTACKS.kind("a cover signed by another key")
def stranger(pack: Pack, random: Random) -> Expected:
    pack.choose(random)
    text = Note.parse(pack.members[COVER]).text
    line = Signing.false(pack.subject.directory.origin).ed25519.sign(text)
    pack.members[COVER] = Note(text, (line,)).encode()
    return Expected(words="^cover: not signed by a key of the log")


@ATTACKS.kind("disclosures left out under the cover")
def fewer(pack: Pack, random: Random) -> Expected:
    manifest = pack.choose(random)
    places = [p for p in manifest.positions if disclosures_name(p) in pack.members]
    del pack.members[disclosures_name(random.choice(places))]
    return Expected(words=OTHER_CONTENTS)


@ATTACKS.kind("disclosures slipped in from another reader's pack of the same case")
def more(pack: Pack, random: Random) -> Expected:
    """Genuine ones, which this reader was not to have: nothing but the cover tells."""
    manifest = pack.choose(random)
    others = [
        other
        for other in pack.subject.packs
        if other["manifest.json"] == pack.members["manifest.json"]
    ]
    names = [disclosures_name(p) for p in manifest.positions]
    found = [
        (name, other[name])
        for other in others
        for name in names
        if other.get(name, pack.members.get(name)) != pack.members.get(name)
    ]
    name, raw = random.choice(found)
    pack.members[name] = raw
    return Expected(words=OTHER_CONTENTS)


@ATTACKS.kind("an entry or a proof changed under the cover")
def changed(pack: Pack, random: Random) -> Expected:
    at = random.choice(pack.choose(random).positions)
    name = random.choice([entry_name, proof_name])(at)
    pack.members[name] = forge.flipped(pack.members[name], random)
    return Expected(at)


def _with_page(pack: Pack, random: Random) -> bytes:
    """Take a person's own pack; returns its page."""
    while True:
        pack.choose(random)
        if PAGE in pack.members:
            return pack.members[PAGE]


def _reworded(page: bytes, random: Random) -> bytes:
    """The page with the words of one of its sentences in another order."""
    start = page.index(b"<h1>")
    found = [one for one in re.finditer(rb"<p>([^<]+)</p>", page) if one.start() > start]
    one = random.choice([one for one in found if len(set(one[1].split())) > 1])
    words = one[1].split(b" ")
    while words == one[1].split(b" "):
        random.shuffle(words)
    return page[: one.start(1)] + b" ".join(words) + page[one.end(1) :]


@ATTACKS.kind("the page changed or taken out under the cover")
def page_changed(pack: Pack, random: Random) -> Expected:
    page = _with_page(pack, random)
    instead = random.choice([_reworded(page, random), forge.flipped(page, random), None])
    if instead is None:
        del pack.members[PAGE]
    else:
        pack.members[PAGE] = instead
    return Expected(words=OTHER_CONTENTS)


@ATTACKS.kind("the page says something else, signed by the real key")
def page_signed(pack: Pack, random: Random) -> Expected:
    pack.members[PAGE] = _reworded(_with_page(pack, random), random)
    said = Cover.parse(Note.parse(pack.members[COVER]).text)
    text = replace(said, members=digest_of(pack.members.items())).text
    pack.members[COVER] = Note(text, (pack.signing.ed25519.sign(text),)).encode()
    return Expected(words="^page.html: it does not say what the entries")
