"""Audiences: for whom packs are made, by whom, of which streams, and what a pack opens to whom.

Guarantees: pure functions over a credential and the open part of an entry. What is withheld from a
person, and who looked at what, is in no pack of theirs: there is none of such a stream, whether or
not it exists. A person's pack opens what is about the person and which organisations received it,
never who on the staff did what, or in whose case they have a part. (UK GDPR Art 15, DPA 2018 ss.45
and 51.)
"""

from collections.abc import Mapping
from typing import Any, Final

from ledger.access import ATTRIBUTION, CODED, PERSONAL, PERSONAL_KINDS, Credential, Owner, Role
from ledger.catalogue import CATALOGUE
from ledger.errors import Forbidden
from ledger.streams import openable
from ledger_verifier.formats.cover import AUDITOR, INSPECTOR, SUBJECT

#: Who may make a pack for which kind of reader.
PACKS: Final[Mapping[str, frozenset[Role]]] = {
    AUDITOR: frozenset({Role.AUDITOR, Role.DPO, Role.INSPECTOR}),
    INSPECTOR: frozenset({Role.DPO, Role.INSPECTOR}),
    SUBJECT: frozenset({Role.DPO, Role.RIGHTS_OFFICER}),
}
_CASEWORK: Final = PERSONAL_KINDS - {"access", "restricted"}
#: Of which kinds of stream there are packs for which kind of reader.
PACK_KINDS: Final[Mapping[str, frozenset[str]]] = {
    AUDITOR: _CASEWORK,
    INSPECTOR: PERSONAL_KINDS,
    SUBJECT: _CASEWORK,
}
#: Classes of sealed fields that packs open, by reader.
_CLASSES: Final[Mapping[str, frozenset[str]]] = {
    AUDITOR: frozenset({ATTRIBUTION}),
    INSPECTOR: frozenset({ATTRIBUTION, CODED, PERSONAL}),
    SUBJECT: frozenset({CODED, PERSONAL}),
}
#: Attribution that a person is told: who received what about them, not who on the staff sent it.
_TOLD: Final = frozenset({"recipient_organisation", "true_organisation"})
#: What a person is not told: in whose case somebody else's they have a part, and as whom.
_OF_OTHERS: Final = frozenset({"in_case", "in_case_as"})


def check_pack(credential: Credential, audience: str, kind: str) -> None:
    """Raise Forbidden when the role may not make packs for this kind of reader, or when nobody
    makes them of this kind of stream: whatever the id, so that it says nothing of what there is."""
    if credential.role not in PACKS[audience]:
        roles = " or ".join(sorted(PACKS[audience]))
        raise Forbidden(f"Packs for the {audience} are made by the role {roles}.")
    if kind not in PACK_KINDS[audience]:
        raise Forbidden(f"There are no packs of {kind} streams for the {audience}.")


def opened_for(
    audience: str, credential: Credential, entry: Mapping[str, Any], owner: Owner
) -> list[str]:
    """Names of the sealed fields of an entry that a pack for this kind of reader opens: what such
    a reader may be given, of what the maker may open."""
    event_type = CATALOGUE.get(entry["type"], entry["schema"])
    if event_type is None:
        return []
    told = _TOLD if audience == SUBJECT else frozenset()
    kept = _OF_OTHERS if audience == SUBJECT else frozenset()
    return [
        name
        for name in openable(credential, entry, owner)
        if name not in kept and (name in told or event_type.sealed[name] in _CLASSES[audience])
    ]
