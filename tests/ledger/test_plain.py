"""Words for the person: there are some for everything, and somebody of 13 can read them.

How hard a text is to read is measured as Flesch and Kincaid did (grade level, 1975): 0.39 times the
words in a sentence and 11.8 times the syllables in a word, less 15.59, is the school year, in the
United States, that reads it with ease. A reader of 13 is in the eighth.
"""

import re
from hashlib import sha256

import pytest

from ledger.access import Role, owner_in
from ledger.audiences import opened_for
from ledger.catalogue import CATALOGUE, EventType
from ledger_verifier.audit.person import person_page
from ledger_verifier.formats.bundle import (
    MANIFEST,
    disclosures_name,
    encode_disclosures,
    entry_name,
)
from ledger_verifier.formats.cover import SUBJECT, WORDS
from ledger_verifier.meaning import plain
from ledger_verifier.meaning.certified import NOTICE
from tests.ledger.acts import credential
from tests.verifier.audit.world import World

KINDS = {"case", "party", "content"}
TYPES = [one for one in CATALOGUE.registrations() if KINDS & set(one.stream_kinds)]
TOLD = (*plain.INTRO, *plain.RIGHTS, *plain.FILES)
MARKS = (
    plain.NOT_SHOWN,
    plain.NOT_YOU,
    plain.MISTAKE,
    plain.CONTESTED,
    plain.DECIDED,
    plain.UNKNOWN,
)
COVER_WORDS = " ".join(WORDS[SUBJECT])
#: Names and acts that have no simpler word.
NAMED = re.compile(
    r"Information Commissioner|Data Protection Act 2018, section 51|ico\.org\.uk|[0-9 ]{6,}"
)
#: Words that the record is full of and a young person is not.
HARD = re.compile(
    r"\b(processing|controller|retention|disclosure|recipient|rectif|erasure|gateway|pursuant|"
    r"statutory|subject|personal data|safeguarding|withheld|restrict)",
    re.IGNORECASE,
)
#: Released words never change without a new VERSION: pages that were made with them are kept.
DIGESTS = {
    "hub-ledger/plain@v1": "e3200d5cce30a411875c892bcbc27cd8c2b152637f106a4c5d0cdb09bd0e78bd",
}


def syllables(word: str) -> int:
    """Groups of vowels, but for a silent e at the end; at least one."""
    spoken = re.sub(r"(?<![aeiouy]l)(?:es|ed|e)$", "", word.lower())
    return max(1, len(re.findall(r"[aeiouy]+", spoken)))


def grade(text: str) -> float:
    sentences = [
        one for one in re.split(r"[.!?:]+(?:\s|$)", NAMED.sub("them", text)) if one.strip()
    ]
    found = [re.findall(r"[A-Za-z']+", one) for one in sentences]
    count = sum(map(len, found))
    spoken = sum(syllables(word) for one in found for word in one)
    return 0.39 * count / len(sentences) + 11.8 * spoken / count - 15.59


def opened(event_type: EventType) -> list[str]:
    entry = {
        "type": event_type.type,
        "schema": event_type.schema,
        "stream": {"kind": event_type.stream_kinds[0]},
        "hub": "E09000023",
        "organisation": "lewisham-council",
        "submitted_by": None,
    }
    return opened_for(SUBJECT, credential(Role.DPO), entry, owner_in(entry))


def test_the_measure_tells_hard_from_easy() -> None:
    assert grade("The cat sat on the mat. You can ask for it.") < 2
    assert grade("Personal data may be withheld pursuant to applicable statutory exemptions.") > 12


@pytest.mark.parametrize("event_type", TYPES, ids=lambda one: one.type)
def test_there_are_words_for_everything_that_a_person_is_shown(event_type: EventType) -> None:
    assert event_type.type in plain.ACTS
    shown = [*opened(event_type), *(plain.OPEN_SHOWN & event_type.open.keys())]
    assert [name for name in shown if name not in plain.LABELS] == []
    for name in shown:
        codes = event_type.shapes[name].codes or ()
        for code in codes:
            said = plain.words(name, code, as_written=False)
            assert HARD.search(said) is None, (name, code, said)
            assert len(said.split()) <= 12
    told = {name for name in event_type.open if name.startswith("told_")}
    assert told <= plain.TOLD.keys()


def test_no_word_is_kept_that_nobody_is_shown() -> None:
    shown = {
        name for one in TYPES for name in (*opened(one), *(plain.OPEN_SHOWN & one.open.keys()))
    }
    assert plain.LABELS.keys() - shown == {"told"}
    assert plain.ACTS.keys() == {one.type for one in TYPES}


@pytest.mark.parametrize(
    "text", [*plain.ACTS.values(), *TOLD, *MARKS, COVER_WORDS, NOTICE], ids=lambda text: text[:30]
)
def test_a_reader_of_13_can_read_it(text: str) -> None:
    assert grade(text) <= 8
    assert HARD.search(NAMED.sub("", text)) is None
    for sentence in re.split(r"[.:]\s", text):
        assert len(sentence.split()) <= 20


def test_all_of_it_together_is_easier_still() -> None:
    assert grade(" ".join([*plain.ACTS.values(), *TOLD, *MARKS])) <= 5.5


@pytest.mark.parametrize("label", [*plain.LABELS.values(), *plain.TOLD.values()])
def test_labels_are_plain(label: str) -> None:
    assert HARD.search(label) is None
    assert grade(label) <= 9


def test_the_words_of_a_version_never_change() -> None:
    """On failure: the page would not be what it was for packs that were given out. Give the words a
    new VERSION, and its digest here."""
    world = World(seed=3).fill(12, streams=1)
    stream = next(name for name in world.heads if name.startswith("case/"))
    parts = world.case(stream)
    members = {MANIFEST: parts.manifest.encode()}
    members |= {entry_name(position): raw for position, (raw, _) in parts.entries.items()}
    members |= {disclosures_name(p): encode_disclosures(t) for p, t in parts.opened.items()}
    words = {name: value for name, value in vars(plain).items() if name.strip("_").isupper()}
    words = {name: value for name, value in words.items() if not isinstance(value, re.Pattern)}
    text = repr([(name, _ordered(words[name])) for name in sorted(words)])
    digest = sha256(text.encode() + person_page(members)).hexdigest()
    assert {**DIGESTS, plain.VERSION: digest} == DIGESTS


def _ordered(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _ordered(one)) for key, one in sorted(value.items())]
    return sorted(value) if isinstance(value, frozenset) else value
