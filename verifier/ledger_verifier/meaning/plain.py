"""What entries say, in words for the person they are about, who may be 13.

Guarantees: the words are fixed. A sentence for each type of entry, a label for each field that a
person's own pack may open, and words for codes; nothing of what was recorded is in them. They say
the same whether or not anything is withheld. What no word is kept for is shown under its own name,
with its hyphens as spaces: a newer log has types that this version does not know.

`VERSION` names these words: whoever changes one gives them a new one, since pages that were made
with the old words are kept.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

VERSION: Final = "hub-ledger/plain@v1"

TITLE: Final = "What is written down about you"
INTRO: Final = (
    "This page is about you. It shows what was written down, when, and by whom.",
    "Some things may be left out. The law allows that in some cases. You can ask the Information "
    "Commissioner to check that it was fair. That is free.",
)
RIGHTS_TITLE: Final = "What you can do"
RIGHTS: Final = (
    "If something is wrong, you can ask for it to be put right.",
    "You can ask for things to be deleted. You can ask people to stop using them.",
    "You can say what you think of it. It will be kept next to what it is about.",
    "If you are not happy, tell the people who gave you this page. They must answer you.",
    "You can also tell the Information Commissioner: ico.org.uk, phone 0303 123 1113.",
    "Somebody can help you: a parent, a carer, a youth worker, a lawyer, or a friend.",
)
FILES_TITLE: Final = "The other files"
FILES: Final = (
    "You do not need the other files to read this page. They show that nothing was changed. You "
    "can give them to somebody who checks that for you.",
    "Keep this safe. It is about you, and other people should not have it.",
)
NOT_SHOWN: Final = "What was written here is not shown. It may have been deleted."
NOT_YOU: Final = "Later it was written down that this is not about you."
MISTAKE: Final = "Later it was written down that this was a mistake."
CONTESTED: Final = "Somebody said that this is not right. It has not been decided yet."
DECIDED: Final = "Somebody said that this was not right. It has been decided since."
UNKNOWN: Final = "Something else was written down."
BY: Final = "Written down by"
YES, NO = "yes", "no"

#: A sentence for each type of entry that is in a stream of which people get packs.
ACTS: Final[Mapping[str, str]] = {
    "subject.identified": "Somebody thought that you may need help, and a file about you was "
    "opened.",
    "screening.decided": "People looked at your file and decided if it should go on.",
    "case.reviewed": "People looked at your file again.",
    "case.closed": "Your file was closed.",
    "support.offered": "You were offered help.",
    "support.accepted": "You said yes to the help.",
    "support.declined": "You said no to the help. You are allowed to.",
    "subject.notified": "You were told about the file, or somebody was told for you.",
    "data.disclosed": "Things about you were sent to someone else.",
    "disclosure.acknowledged": "Somebody said that they got what was sent to them about you.",
    "content.referred": "A website was told about something that was posted there.",
    "content.outcome_recorded": "The website said what it did about the post.",
    "record.altered": "Something in your file was changed.",
    "event.corrected": "It was written down that something here was a mistake.",
    "accuracy.contested": "Somebody said that something here is not right.",
    "rectification.decided": "People decided what to do about what was said not to be right.",
    "rectification.notified": "Somebody who had it was told what was decided.",
    "entry.misattributed": "It was written down that something here is not about you.",
    "party.recorded": "You were written down as having a part in what happened to someone else.",
    "cases.merged": "There were two files about you. They were put together in this one.",
    "case.split": "It was written down that some things here are not about you.",
    "legal_hold.placed": "Your file must be kept for now. A court or a law may need it.",
    "legal_hold.released": "Your file no longer has to be kept for that.",
    "access_request.received": "You asked to see what is written down about you, or somebody asked "
    "for you.",
    "access_request.answered": "You were given an answer to that.",
    "access_request.waived": "You said that you need not see it before it is deleted.",
    "identity.verified": "People checked that it was really you, or somebody you sent.",
    "representative.authorised": "Somebody was allowed to speak for you.",
    "representative.revoked": "Somebody may no longer speak for you.",
    "capacity.assessed": "People thought about if you can decide something by yourself.",
    "pack.offered": "You were asked if you want to see what is written down about you.",
    "erasure.ordered": "It was decided to delete things from your file.",
    "erasure.executed": "Things were deleted from your file.",
    "findings.frozen": "Before things were deleted, it was noted what may not have been right.",
    "erasure.verified": "It was checked that what was deleted is gone.",
    "recipient_erasure.requested": "Somebody who had things about you was told to delete them.",
    "recipient_erasure.confirmed": "Somebody who had things about you said that they deleted them.",
    "backup.horizon_passed": "By now there is no old copy of what was deleted.",
    "source_erasure.requested": "A computer system that had things about you was told to delete "
    "them.",
    "source_erasure.confirmed": "A computer system that had things about you has deleted them.",
}

#: What a person's pack may open, and what is shown of the rest, each under its label.
LABELS: Final[Mapping[str, str]] = {
    "acts_for": "What they may do for you",
    "address": "Address",
    "after": "What it says now",
    "age_band": "Age",
    "altered_fields": "What was changed",
    "answer": "Answer",
    "answer_due": "To be answered by",
    "answered_by": "Who answered",
    "authority": "Why they may",
    "automation_level": "What a computer did",
    "basis": "Because of",
    "before": "What it said before",
    "capacity": "What they found",
    "capture_sha256": "Number of the copy that was kept",
    "cause": "How that came about",
    "channel": "How",
    "contact": "How to reach you",
    "content_manifest": "What was sent",
    "content_nature": "Fact or what somebody thinks",
    "contested_by": "Who said so",
    "continued_in": "The file that goes on",
    "copies_found_band": "Copies that were found",
    "correction_class": "What kind of mistake",
    "data_categories": "What it was about",
    "date_of_birth": "Date of birth",
    "decision": "What it was about",
    "decision_due": "To be decided by",
    "delivery_proof": "How they know that you got it",
    "detail": "More about it",
    "elapsed_days": "Days it took",
    "equality_check": "Was it checked that it is fair to all groups",
    "erase_due": "To be deleted by",
    "ethnicity": "Ethnic group",
    "evidence": "How they know",
    "format": "In which form",
    "genre": "What kind of post",
    "ground": "Why",
    "handle": "Name of the account",
    "harm": "What may be bad about it",
    "human_involvement": "What people did",
    "identity_token": "Number that stands for you",
    "intelligence_grade": "How sure the police are",
    "language": "Language",
    "legal_basis": "What allows it",
    "legal_ref": "Which law",
    "linked_case": "The file it belongs to",
    "matched_by": "How they know that both are yours",
    "merged_cases": "The files that were put together",
    "merged_heads": "Numbers that show which files they were",
    "moved_to": "The file where they belong",
    "name": "Name",
    "necessity_reasons": "Why it had to be sent",
    "notified_party": "Who was told",
    "offered_to": "Who was asked",
    "other_person": "Was the other person told",
    "outcome": "What was decided",
    "pathway": "What kind of help",
    "plan": "The plan",
    "platform": "Website",
    "platform_reply": "What the website said",
    "provider": "Who gives the help",
    "purpose": "What for",
    "reason": "Why",
    "reasons": "Why",
    "received_digest": "Number of what they got",
    "recipient_category": "What kind of people got it",
    "recipient_organisation": "Who got it",
    "reference": "Number of the matter",
    "referral_source_organisation": "Which of them",
    "relation": "Your part in it",
    "representative_kind": "Who they are to you",
    "representative_name": "Their name",
    "requested_by": "Who asked",
    "review_due": "To be looked at again by",
    "review_kind": "Why they looked",
    "right_value": "What is right",
    "risk_assessment": "What they think could happen",
    "risk_band": "How much risk they see",
    "route": "How it came",
    "sch8_condition": "What the law calls this",
    "sensitive_processing": "Is it something very private",
    "sex": "Sex",
    "source_type": "Who told them about you",
    "starts_on": "Starts on",
    "statement": "What was said",
    "subject_category": "How they see you",
    "text": "What was written",
    "text_given": "What you were told",
    "told": "You were told",
    "transfer_condition": "What allows it to go abroad",
    "trigger": "Was it asked for or did the time come",
    "true_organisation": "Who said so",
    "url": "Web address",
    "valid_until": "Until",
    "verification": "How they checked",
    "verified_party": "Who was checked",
    "version_digest": "Number of what was sent",
    "victim_with_suspect": "Was one file of a person who was hurt, and one of a person who may "
    "have done wrong",
    "words": "In your words",
}

#: Open fields that are shown; the others are numbers and codes of the record itself.
OPEN_SHOWN: Final = frozenset(
    {
        "answer_due",
        "automation_level",
        "basis",
        "copies_found_band",
        "decision_due",
        "erase_due",
        "human_involvement",
        "legal_basis",
        "outcome",
        "platform",
        "purpose",
        "recipient_category",
        "review_due",
        "route",
        "trigger",
    }
)
#: What a notification may tell: open flags, shown together under `told`.
TOLD: Final[Mapping[str, str]] = {
    "told_reasons": "why there is a file",
    "told_legal_basis": "what law allows it",
    "told_retention": "how long it is kept",
    "told_recipients": "who gets to see it",
    "told_rights": "what you can ask for",
    "told_complaint_to_controller": "how to complain to them",
    "told_complaint_to_commissioner": "how to complain to the Information Commissioner",
}

#: Words for codes that do not speak for themselves, for a field or for all.
_CODES_OF: Final[Mapping[str, Mapping[str, str]]] = {
    "automation_level": {
        "none": "nothing",
        "assisted": "it helped people",
        "profiled": "it gave you a score",
        "solely-automated": "it decided alone",
    },
    "human_involvement": {
        "none": "nothing",
        "decided-by-a-person": "a person decided",
        "confirmed-by-a-person": "a person said yes to what the computer said",
        "changed-by-a-person": "a person changed what the computer said",
    },
    "ethnicity": {
        "w1": "White: British",
        "w2": "White: Irish",
        "w3": "White: Gypsy or Irish Traveller",
        "w4": "White: Roma",
        "w9": "White: other",
        "m1": "Mixed: White and Black Caribbean",
        "m2": "Mixed: White and Black African",
        "m3": "Mixed: White and Asian",
        "m9": "Mixed: other",
        "a1": "Asian: Indian",
        "a2": "Asian: Pakistani",
        "a3": "Asian: Bangladeshi",
        "a4": "Asian: Chinese",
        "a9": "Asian: other",
        "b1": "Black: Caribbean",
        "b2": "Black: African",
        "b9": "Black: other",
        "o1": "Chinese (old list)",
        "o2": "Arab",
        "o9": "other",
        "ns": "not stated",
    },
    "copies_found_band": {"0": "none"},
    "trigger": {"ordered": "it was asked for", "scheduled": "the time came"},
}
_CODES: Final[Mapping[str, str]] = {
    "statutory": "because a law says so",
    "statutory-purposes": "work that a law gives to somebody",
    "statutory-inquiry": "people who look into something, as a law says",
    "retention": "to see if it is still needed",
    "retention-period-ended": "the time to keep it was over",
    "rectification": "ask for it to be put right",
    "erasure": "ask for it to be deleted",
    "restriction": "ask them to stop using it",
    "objection": "say that they do not want it",
    "age-restricted": "only grown-ups can see it now",
    "enforcement": "police work",
    "safeguarding": "to keep you safe",
    "support": "to help you",
    "consent": "you said yes",
    "law-enforcement-task": "the work of the police",
    "public-task": "work that the law gives to the council and others",
    "legal-obligation": "a law that says it must be done",
    "vital-interests": "somebody's life was at risk",
    "recognised-legitimate-interest": "a good reason that is in the law",
    "legitimate-interests": "a good reason of those who hold it",
    "none-stated": "nothing was said",
    "not-stated": "nothing was said",
    "at-risk": "somebody who may be at risk",
    "contact": "somebody who was in contact",
    "convicted": "somebody who a court found guilty",
    "suspect": "somebody who may have done something",
    "victim": "somebody who was hurt",
    "witness": "somebody who saw it",
    "subject": "you",
    "subject-and-parent": "you and your parent",
    "parent-or-guardian": "your parent or carer",
    "representative": "somebody who speaks for you",
    "rectified": "it was put right",
    "completed": "something was added",
    "refused": "no",
    "restricted-as-evidence": "it is kept, and used only as proof",
    "restricted-while-unascertainable": "it is kept, and not used, since nobody can find out",
    "neither-confirmed-nor-denied": "they did not say yes or no",
    "referred-on": "sent on to others",
    "misattributed": "not about you",
    "clerical": "a slip",
    "duplicate": "written twice",
    "unlawful": "against the law",
    "unlawful-processing": "it was against the law to have it",
    "cpia": "a law on keeping proof",
    "youth-justice": "the youth justice team",
    "police-intelligence": "the police",
    "emergency-department": "a hospital",
    "voluntary-sector": "a charity",
    "childrens-services": "children's services",
    "self": "you",
    "identified-in-error": "it was a mistake",
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def sentence(type_name: str) -> str:
    """What happened, for an entry of this type."""
    return ACTS.get(type_name, UNKNOWN)


def label(field: str) -> str:
    """What a field is called."""
    return LABELS.get(field, field.replace("_", " ").capitalize())


def words(field: str, value: Any, *, as_written: bool) -> str:
    """A value in words: yes or no, and days as people write them; codes by their words, unless the
    field holds what somebody wrote (`as_written`)."""
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, list):
        return "; ".join(words(field, one, as_written=as_written) for one in value)
    if not isinstance(value, str):
        return str(value)
    if _DAY.fullmatch(value):
        return day(value)
    known = _CODES_OF.get(field, {}).get(value)
    if known is not None or as_written:
        return value if known is None else known
    known = _CODES.get(value)
    return known or (value.replace("-", " ") if _CODE.fullmatch(value) else value)


def day(text: str) -> str:
    """A date, or the day of an instant, as people write it; as it is where there is no such day."""
    try:
        found = date.fromisoformat(text[:10])
    except ValueError:
        return text
    return f"{found.day} {_MONTHS[found.month - 1]} {found.year}"


def organisation(code: str) -> str:
    """The code of an organisation as a name."""
    return code.replace("-", " ").capitalize()
