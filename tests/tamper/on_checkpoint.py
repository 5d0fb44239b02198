"""Attacks on the checkpoint of a log, in a bundle or over HTTP."""

from random import Random

from ledger_verifier.formats.note import Note, SignatureLine
from tests.tamper import forge
from tests.tamper.forge import Signing
from tests.tamper.matrix import Attacks, Expected
from tests.tamper.served import Served
from tests.verifier.audit.world import tree_members

ATTACKS = Attacks()
HTTP_ATTACKS = Attacks()


@ATTACKS.kind("a signature changed")
def signature(served: Served, random: Random) -> Expected:
    served.members["checkpoint"] = forge.flipped_signature(served.members["checkpoint"], random)
    return Expected(words="^checkpoint: ")


@ATTACKS.kind("size changed under the same signatures")
def size(served: Served, random: Random) -> Expected:
    other = random.choice([n for n in range(1, 2 * served.size) if n != served.size])
    served.members["checkpoint"] = forge.resaid(served.members["checkpoint"], size=other)
    return Expected(words="^checkpoint: ")


@ATTACKS.kind("root changed under the same signatures")
def root(served: Served, random: Random) -> Expected:
    raw = served.members["checkpoint"]
    served.members["checkpoint"] = forge.resaid(raw, root=forge.hash_of(random))
    return Expected(words="^checkpoint: ")


@ATTACKS.kind("origin changed under the same signatures")
def origin(served: Served, random: Random) -> Expected:
    name = f"ledger.test/{random.randrange(10**9)}"
    served.members["checkpoint"] = forge.resaid(served.members["checkpoint"], origin=name)
    return Expected(words="^checkpoint: ")


@ATTACKS.kind("signatures taken from another checkpoint of the log")
def transplanted(served: Served, random: Random) -> Expected:
    other = Note.parse(random.choice(served.subject.publications[:-1])[1])
    own = Note.parse(served.members["checkpoint"])
    served.members["checkpoint"] = Note(own.text, other.signatures).encode()
    return Expected(words="^checkpoint: ")


@ATTACKS.kind("signed by another key under the real key's name and id")
def impersonated(served: Served, random: Random) -> Expected:
    false, real = Signing.false(served.subject.directory.origin), served.signing
    forged = Note.parse(false.published(served.size, forge.hash_of(random)))
    ids = (real.ed25519.key.key_id, real.mldsa44.key.key_id)
    lines = [
        SignatureLine(line.name, key_id, line.signature)
        for line, key_id in zip(forged.signatures, ids, strict=True)
    ]
    served.members["checkpoint"] = Note(forged.text, tuple(lines)).encode()
    return Expected(words="^checkpoint: ")


@ATTACKS.kind("another root, signed by the real key")
def signed_root(served: Served, random: Random) -> Expected:
    served.members["checkpoint"] = served.signing.published(served.size, forge.hash_of(random))
    last = served.subject.publications[-2][0]
    return Expected(words=f"does not have the signed root; the first {last} are those of")


@ATTACKS.kind("a larger size, signed by the real key")
def signed_size(served: Served, random: Random) -> Expected:
    """Of entries that are not there: the bundle that would hold them is named."""
    larger = served.size + random.randrange(1, 100)
    entries = served.subject.entries
    served.members["checkpoint"] = served.signing.published(larger, forge.root(entries))
    # Whoever serves it says that the tiles are as wide as that.
    for path, data in tree_members(entries).items():
        if path.endswith(f".p/{served.size % 256}"):
            served.members[path.replace(f"/{served.size % 256}", f"/{larger % 256}")] = data
    return Expected(
        served.size // 256 * 256, words="does not hold exactly|the log does not serve|has .* not"
    )


@HTTP_ATTACKS.kind("a smaller size, signed by the real key: against a receipt")
def signed_smaller(served: Served, random: Random) -> Expected:
    smaller = random.randrange(1, served.size)
    entries = served.subject.entries[:smaller]
    served.rewrite(entries, served.signing)
    served.earlier = [served.subject.receipts[max(served.subject.receipts)]]
    return Expected(smaller, words="its tail is cut off or withheld")
