"""Errors of the ledger: each says what is wrong and what the caller can do, and holds no value
that was submitted.

A `slug` is stable: clients switch on it, the HTTP layer turns it into a status and a problem type
(docs/problems.md).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, order=True)
class FieldError:
    """One bad field: a JSON pointer or CloudEvents member name, and a reason without the value."""

    pointer: str
    reason: str


class LedgerError(Exception):
    """Base of all errors a caller may be shown."""

    slug: ClassVar[str] = "internal-error"

    def __init__(
        self,
        detail: str,
        fields: Iterable[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = tuple(fields)
        self.extra = dict(extra or {})


class Invalid(LedgerError):
    """The submission is malformed; `fields` names every bad field."""

    slug = "invalid-event"


class Malformed(LedgerError):
    """What was sent is no event, and not well formed; `fields` names every bad member, those of a
    query as `?name`."""

    slug = "invalid-request"


class BeyondTheLog(LedgerError):
    """Something was asked for as of a tree size that the log has not reached, or that no checkpoint
    was published of."""

    slug = "invalid-request"


class MalformedJson(LedgerError):
    """The body is not JSON as RFC 8259 and this service's limits have it."""

    slug = "malformed-json"


class TooLarge(LedgerError):
    """The submission is over a documented limit."""

    slug = "too-large"


class Unauthenticated(LedgerError):
    """No credential, or none that is known."""

    slug = "unauthenticated"


class Forbidden(LedgerError):
    """The credential's role may not do this."""

    slug = "forbidden"


class OutOfScope(LedgerError):
    """The credential is not bound to this organisation, hub or source."""

    slug = "out-of-scope"


class ReservedType(LedgerError):
    """The type is recorded by the service alone."""

    slug = "reserved-type"


class ActorRequired(LedgerError):
    """Reading one case names the person reading (header `Actor`)."""

    slug = "actor-required"


class PurposeRequired(LedgerError):
    """Opening sealed fields names a purpose (header `Purpose-Of-Use`)."""

    slug = "purpose-required"


class ReasonRequired(LedgerError):
    """Opening the sealed fields of many streams in a day gives a reason (header `Bulk-Reason`)."""

    slug = "reason-required"


class SecondPersonRequired(LedgerError):
    """Opening the staff map takes two people, with a credential each."""

    slug = "second-person-required"


class OpeningNotWaiting(LedgerError):
    """No request to open the staff map waits under this id: there was none, or its day is over."""

    slug = "opening-not-waiting"


class NotFound(LedgerError):
    """Unknown here, or not for this caller: the two are never told apart."""

    slug = "not-found"

    def __init__(self, detail: str = "There is no such thing, or it is not for you.") -> None:
        super().__init__(detail)


class DuplicateConflict(LedgerError):
    """This (source, id) is recorded already, with other content."""

    slug = "duplicate-conflict"


class VersionConflict(LedgerError):
    """`expectedversion` is not the stream's version."""

    slug = "version-conflict"


class Expired(LedgerError):
    """It was recorded, its retention in the log has ended, and its bytes are destroyed."""

    slug = "expired"


class NoPolicy(LedgerError):
    """Streams expire under a policy, and none is in force for these."""

    slug = "no-policy"


class Busy(LedgerError):
    """The queue is full; nothing was recorded; try again."""

    slug = "busy"


class WriterLost(LedgerError):
    """The writer stopped before it said whether this was recorded; a retry finds out."""

    slug = "writer-lost"


class VaultUnavailable(LedgerError):
    """Sealed data or keys cannot be read now; nothing was recorded or disclosed."""

    slug = "vault-unavailable"


class KeyNotAtHand(VaultUnavailable):
    """The key of tombstones is to be had from the vault first. Only the ledger itself meets this:
    it fetches the key, in a thread of the vault's own, and looks again."""


class ErasurePending(LedgerError):
    """The erasure is recorded and irrevocable, but its keys are not yet destroyed; retry."""

    slug = "erasure-pending"


class NothingToErase(LedgerError):
    """The stream to be erased does not exist, or holds nothing under a subject key."""

    slug = "nothing-to-erase"


class NoSuchShare(LedgerError):
    """A recipient answers for a share that is not recorded, or is another's: the two are never told
    apart."""

    slug = "no-such-share"


class ErasureBarred(LedgerError):
    """Something that stands before an erasure bars it; `extra` holds its code as `reason`."""

    slug = "erasure-barred"


class ErasureNotVerified(LedgerError):
    """There is no verified erasure that a certificate could be made of."""

    slug = "erasure-not-verified"


class ConfigurationError(LedgerError):
    """The data directory or its configuration cannot be used as it is."""

    slug = "configuration"


class IntegrityAlarm(LedgerError):
    """What is stored contradicts itself, the guard or the signature: the service must not run."""

    slug = "integrity-alarm"
