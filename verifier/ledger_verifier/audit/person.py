"""The page in a person's own pack: what the pack holds of them, for them to read.

Guarantees: `person_page` is a function of the pack's other members alone, so that whoever has them
can make the page again, byte for byte: it says what the entries and the opened fields say, no more,
and nothing of what was left out but that the law allows it. Like the verifier's own report it loads
nothing, runs nothing, and shows whatever was recorded as text. Written for a reader of 13, and to
meet WCAG 2.2 AA. (UK GDPR Art 12(1), DPA 2018 s.52(1); words in `meaning.plain`.)
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ledger_verifier.audit.report.markup import Markup, element, isolated, joined
from ledger_verifier.audit.report.model import Failure, Findings
from ledger_verifier.audit.report.style import POLICY, STYLE
from ledger_verifier.formats.bundle import (
    MANIFEST,
    MAX_MEMBER,
    BundleReader,
    CaseManifest,
    decode_disclosures,
    disclosures_name,
    entry_name,
)
from ledger_verifier.formats.cover import SUBJECT
from ledger_verifier.formats.disclosure import Disclosure
from ledger_verifier.formats.entry import decode
from ledger_verifier.formats.errors import FormatError
from ledger_verifier.meaning import plain
from ledger_verifier.meaning.case import OF_ANOTHER, CaseState, corrected_by, replay
from ledger_verifier.meaning.schemas import SCHEMA_REGISTERED, Registry

#: The member of a person's own pack.
PAGE: Final = "page.html"
_ABOUT: Final = frozenset({"coded", "personal"})
_PERSONAL: Final = "personal"

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Told:
    """An entry, what the pack opens of it, and the classes of what its type seals."""

    entry: Entry
    opened: Mapping[str, Any]
    sealed: Mapping[str, str]


def person_page(members: Mapping[str, bytes]) -> bytes:
    """The page, from the members of a pack; raises FormatError or KeyError where they are not those
    of one."""
    told = list(_told(members))
    state = replay(one.entry for one in told)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content=plain.VERSION),
        element("title", plain.TITLE),
        Markup(f"<style>{STYLE}</style>"),
    )
    first: dict[str, int] = {}
    for one in told:
        first.setdefault(one.entry["id"], one.entry["stream"]["version"])
    main = element(
        "main",
        element("h1", plain.TITLE),
        "\n",
        _paragraphs(plain.INTRO),
        *(_act(one, state, first) for one in told),
        _section("rights", plain.RIGHTS_TITLE, _list(plain.RIGHTS)),
        _section("files", plain.FILES_TITLE, _paragraphs(plain.FILES)),
    )
    page = element("html", head, "\n", element("body", main), lang="en-GB")
    return f"<!doctype html>\n{page}\n".encode()


def check_page(bundle: BundleReader, audience: str, findings: Findings) -> None:
    """Hold the page of a pack for a kind of reader, that is sound so far, against what the pack
    holds. One that was made with other words than these is not assessed."""
    if PAGE not in bundle or findings.failed:
        return
    if audience != SUBJECT:
        findings.fail(Failure(f"{PAGE}: is in a pack that is not the person's own"))
        return
    try:
        page = bundle.read(PAGE, MAX_MEMBER)
        expected = person_page(_Members(bundle))
    except FormatError as error:
        findings.fail(Failure(f"{PAGE}: {error}"))
        return
    if page == expected:
        findings.counts["pages"] += 1
    elif f'content="{plain.VERSION}"'.encode() in page:
        findings.fail(Failure(f"{PAGE}: it does not say what the entries and opened fields say"))
    else:
        findings.not_assessed.append(
            f"whether {PAGE} says what the entries say: it was made with other words than this "
            "version of the verifier has"
        )


class _Members(Mapping[str, bytes]):
    """The members of a bundle, each read when it is asked for."""

    def __init__(self, bundle: BundleReader) -> None:
        self._bundle = bundle

    def __getitem__(self, name: str) -> bytes:
        if name not in self._bundle:
            raise KeyError(name)
        return self._bundle.read(name, MAX_MEMBER)

    def __iter__(self) -> Iterator[str]:
        return iter(self._bundle.names)

    def __len__(self) -> int:
        return len(self._bundle.names)


def _told(members: Mapping[str, bytes]) -> Iterable[_Told]:
    manifest = CaseManifest.parse(members[MANIFEST])
    registry = Registry()
    for position in manifest.registrations:
        entry = decode(members[entry_name(position)])
        if entry["type"] == SCHEMA_REGISTERED:
            registry.learn(entry)
    for position in manifest.positions:
        entry = decode(members[entry_name(position)])
        raw = members.get(disclosures_name(position))
        texts = [] if raw is None else decode_disclosures(raw)
        found = [Disclosure.parse(text) for text in texts]
        registration = registry.get(entry["type"], entry["schema"])
        sealed = {} if registration is None else registration.sealed
        yield _Told(entry, {one.name: one.value for one in found}, sealed)


def _act(told: _Told, state: CaseState, first: Mapping[str, int]) -> Markup:
    entry = told.entry
    marks = [] if first[entry["id"]] != entry["stream"]["version"] else _marks(entry["id"], state)
    facts = [
        part
        for name, value in _facts(told)
        for part in (element("dt", name), element("dd", isolated(value)))
    ]
    about = {name for name, found in told.sealed.items() if found in _ABOUT}
    closed = bool(about) and not about & told.opened.keys()
    if closed and entry["type"] not in OF_ANOTHER and plain.NOT_YOU not in marks:
        marks.append(plain.NOT_SHOWN)
    by = joined([f"{plain.BY}: ", isolated(plain.organisation(entry["organisation"])), "."])
    content = joined(
        [
            element("p", plain.sentence(entry["type"])),
            element("p", by),
            element("dl", *facts) if facts else "",
            _paragraphs(marks),
        ]
    )
    return _section(f"n{entry['stream']['version']}", plain.day(entry["occurred_at"]), content)


def _marks(event: str, state: CaseState) -> list[str]:
    """What was said later of the event that had an id first."""
    found = []
    naming = {a.type for a in state.acts if not a.corrected and event in corrected_by(a)}
    if naming & OF_ANOTHER:
        found.append(plain.NOT_YOU)
    elif naming:
        found.append(plain.MISTAKE)
    contests = [contest for contest in state.contests if event in contest.events]
    if any(contest.decided_event is None for contest in contests):
        found.append(plain.CONTESTED)
    elif contests:
        found.append(plain.DECIDED)
    return found


def _facts(told: _Told) -> Iterable[tuple[str, str]]:
    """Labels and values: what is open and shown, and then what is opened, as the type has it."""
    data = told.entry["data"]
    for name in sorted(plain.OPEN_SHOWN & data.keys()):
        if data[name] is not None:
            yield plain.label(name), plain.words(name, data[name], as_written=False)
    given = [said for name, said in plain.TOLD.items() if data.get(name) is True]
    if given:
        yield plain.label("told"), "; ".join(given)
    for name in sorted(told.opened):
        value = told.opened[name]
        if value is not None and value != []:
            as_written = told.sealed.get(name) == _PERSONAL
            yield plain.label(name), plain.words(name, value, as_written=as_written)


def _section(key: str, title: str, content: Markup) -> Markup:
    heading = element("h2", title, id=key)
    return element("section", heading, "\n", content, "\n", aria_labelledby=key)


def _paragraphs(lines: Iterable[str]) -> Markup:
    return joined([element("p", line) for line in lines], "\n")


def _list(lines: Iterable[str]) -> Markup:
    return element("ul", *(element("li", line) for line in lines))
