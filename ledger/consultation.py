"""Consultations: every reading of one case is itself recorded, before a byte of it is returned.

Guarantees: `record.consulted` is committed in the stream `access/U` of the stream `kind/U` that was
read; if it cannot be recorded, nothing is read. Follows DPA 2018 s.62(1)(c) and (2).
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args
from uuid import uuid4

from ledger.access import Credential
from ledger.catalogue import CATALOGUE
from ledger.catalogue.access import BulkReason, CasePurpose
from ledger.errors import ActorRequired, FieldError, PurposeRequired, ReasonRequired
from ledger.intake import Draft, split
from ledger.log.clock import instant
from ledger.submission import Submission
from ledger_verifier.formats.entry import SERVICE_CODE, StreamRef, is_uuid

CONSULTED: Final = "record.consulted"
#: What a pack that was made is recorded as, beside the reading.
PRODUCED: Final = "export.produced"
#: The route of a reading that takes a whole stream out of the ledger, in its record.
COPIES: Final = "case-bundle"
CASE_PURPOSES: Final = frozenset(get_args(CasePurpose))
BULK_REASONS: Final = frozenset(get_args(BulkReason))
#: Streams whose sealed fields nobody opens within a day without a reason.
BULK: Final = 20


def check_actor(credential: Credential, actor: str | None) -> None:
    """Raise ActorRequired unless a person is named, or the credential is a machine's."""
    if actor is None and credential.machine:
        return
    if not is_uuid(actor):
        raise ActorRequired(
            "Name the person who is reading in the header Actor, as a random staff reference "
            "(a lower-case UUID of version 4 or 7).",
            [FieldError("Actor", "is required")],
        )


def check_purpose(purpose: str | None) -> str:
    """The purpose of use; raises PurposeRequired when it is absent or not a case purpose."""
    if purpose is None or purpose not in CASE_PURPOSES:
        allowed = ", ".join(sorted(CASE_PURPOSES))
        raise PurposeRequired(
            f"Say what sealed fields are opened for in the header Purpose-Of-Use: {allowed}.",
            [
                FieldError(
                    "Purpose-Of-Use",
                    "is required" if purpose is None else "is not one of the case purposes",
                )
            ],
        )
    return purpose


def check_reason(reason: str | None, streams: int) -> str | None:
    """The reason for opening the sealed fields of so many streams within a day; raises
    ReasonRequired when it is absent where there must be one, or not one of the reasons."""
    if reason is None and streams < BULK:
        return None
    if reason is None or reason not in BULK_REASONS:
        allowed = ", ".join(sorted(BULK_REASONS))
        raise ReasonRequired(
            f"Say why you open the sealed fields of {BULK} or more streams within a day in the "
            f"header Bulk-Reason: {allowed}.",
            [FieldError("Bulk-Reason", "is not one of the reasons")],
        )
    return reason


def consultation(
    credential: Credential,
    read: Mapping[str, Any],
    hub: str,
    *,
    actor: str | None,
    channel: str,
    purpose: str | None,
    fields_opened: Sequence[str] = (),
    count: int = 1,
    reason: str | None = None,
) -> Draft:
    """The entry that says who read a stream. `read` is a decoded entry of it, `hub` the hub that
    the stream belongs to, `count` how many records the reading returned, `reason` why those
    of many streams are opened."""
    submission = Submission(
        id=str(uuid4()),
        source=SERVICE_CODE,
        type=CONSULTED,
        schema=None,
        stream=StreamRef("access", read["stream"]["id"]),
        time=instant(time.time()),
        hub=hub,
        organisation=credential.organisation or SERVICE_CODE,
        actor=actor,
        regime=read["regime"],
        expected_version=None,
        data={
            "case_purpose": purpose,
            "result_count_band": "1" if count <= 1 else "2-19" if count < 20 else "20-or-more",
            "access_channel": channel,
            "fields_opened": sorted(set(fields_opened)),
            "bulk_reason": reason,
        },
    )
    event_type = CATALOGUE.get(CONSULTED, None)
    assert event_type is not None
    return split(credential, submission, event_type)
