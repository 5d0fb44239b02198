"""What is known of one case: its state, the shares of its data, and the acts that made it.

Guarantees: frozen values of what is open in the entries, nothing sealed; `from_json` reads back
exactly what `to_json` wrote. How a state comes about is in `ledger_verifier.meaning.case`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from ledger_verifier.formats.entry import MAX_AHEAD

#: What a person is owed when they are told, in the order it is shown.
CHECKLIST: Final = (
    "told_reasons",
    "told_legal_basis",
    "told_retention",
    "told_recipients",
    "told_rights",
    "told_complaint_to_controller",
    "told_complaint_to_commissioner",
)

NOT_OFFERED: Final = "pack-not-offered"

Said = str | int | bool | tuple[str | int, ...]


def _members(value: "Act | Contest | Disclosed | Erasure | Source | CaseState") -> dict[str, Any]:
    """Names and values, as `dataclasses.asdict` would have them for flat values, without copies."""
    return {name: getattr(value, name) for name in value.__slots__}


@dataclass(frozen=True, slots=True)
class Act:
    """An entry that has a say in the state: its event id, and the open fields it is heard for.

    `corrected` means that a later entry of the stream says that this one was a mistake.
    """

    id: str
    type: str
    occurred_at: str
    said: tuple[tuple[str, Said], ...] = ()
    corrected: bool = False

    @classmethod
    def of(cls, event: str, name: str, occurred_at: str, said: Mapping[str, Any]) -> "Act":
        """An act that said these things; lists of them are kept as tuples."""
        kept = {key: tuple(value) if type(value) is list else value for key, value in said.items()}
        return cls(event, name, occurred_at, tuple(sorted(kept.items())))

    def text(self, name: str) -> str | None:
        """An open field that should be a string, or None: a log may register other kinds."""
        value = dict(self.said).get(name)
        return value if isinstance(value, str) else None

    def to_json(self) -> dict[str, Any]:
        """The act as JSON values."""
        said = {key: list(v) if type(v) is tuple else v for key, v in self.said}
        return {**_members(self), "said": said}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Act":
        """The inverse of `to_json`; raises TypeError, KeyError or AttributeError for what is not
        one."""
        act = cls.of(value["id"], value["type"], value["occurred_at"], value["said"])
        return replace(act, corrected=value["corrected"])


@dataclass(frozen=True, slots=True)
class Contest:
    """Somebody contested what `events` say: from `contested_on` they are disputed, until it was
    first decided. `decided_event` is the newest decision, of `decided_on`, and `told` are the ids
    of the shares whose recipients were told of it."""

    id: str
    contested_on: str
    events: tuple[str, ...]
    decision_due: str | None = None
    disputed_until: str | None = None
    decided_event: str | None = None
    decided_on: str | None = None
    told: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The contest as JSON values."""
        return {**_members(self), "events": list(self.events), "told": list(self.told)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Contest":
        """The inverse of `to_json`; raises TypeError or KeyError for what is not one."""
        return cls(**{**value, "events": tuple(value["events"]), "told": tuple(value["told"])})


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One share of the person's data. `disclosed_at` None: the recipient acknowledged it, but the
    sender never recorded it. An id used twice makes two of these, so that the second share cannot
    hide; one that is `corrected` stays for the same reason."""

    id: str
    recipient_category: str | None
    purpose: str | None = None
    gateway: str | None = None
    agreement_ref: str | None = None
    disclosed_at: str | None = None
    recipient_retention_until: str | None = None
    acknowledged_on: str | None = None
    erasure_requested_on: str | None = None
    erasure_confirmed_on: str | None = None
    copies_found_band: str | None = None
    corrected: bool = False


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure: of everything `through` a version, or of the entries at `versions` alone.
    `erased_at` is when the ledger recorded it, and so did it; `stated_at` the time that whoever
    executed it gave. `pack_offered` is whether an offer of a pack to the person stands before it,
    `barred` whether a hold stood, or an open request that none may go before.
    `checked` is what the ledger looked at before it recorded that the data is gone."""

    id: str
    erased_at: str
    stated_at: str
    through: int | None = None
    versions: tuple[int, ...] | None = None
    ordered_event: str | None = None
    dual_control: bool = False
    pack_offered: bool = False
    barred: bool = False
    verified_at: str | None = None
    checked: tuple[str, ...] = ()
    horizon_days: int | None = None
    horizon_passed_on: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The erasure as JSON values."""
        versions = None if self.versions is None else list(self.versions)
        return {**_members(self), "versions": versions, "checked": list(self.checked)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Erasure":
        """The inverse of `to_json`; raises TypeError or KeyError for what is not one."""
        versions = value["versions"]
        return cls(
            **{
                **value,
                "versions": None if versions is None else tuple(versions),
                "checked": tuple(value["checked"]),
            }
        )

    @property
    def backdated(self) -> bool:
        """Whether it is stated to have been earlier than clocks may differ by. A day that is stated
        lasts until its end."""
        stated = self.stated_at if "T" in self.stated_at else f"{self.stated_at}T23:59:59.999Z"
        apart = datetime.fromisoformat(self.erased_at) - datetime.fromisoformat(stated)
        return apart > MAX_AHEAD

    @property
    def first_day_without_backups(self) -> str | None:
        """The first day on which, by the horizon that was declared, no backup holds what was
        erased; None where none was declared. It runs from the day on which the ledger itself saw
        that nothing was left."""
        if self.horizon_days is None or self.verified_at is None:
            return None
        try:
            day = date.fromisoformat(self.verified_at[:10]) + timedelta(days=self.horizon_days)
        except (ValueError, OverflowError):
            return None
        return day.isoformat()

    @property
    def gone_from_backups(self) -> bool:
        """Whether it is recorded that backups are gone, no earlier than the horizon allows."""
        day = self.first_day_without_backups
        return (
            day is not None
            and self.horizon_passed_on is not None
            and self.horizon_passed_on[:10] >= day
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A system that data about the person came from, by its code, and the version of the stream at
    which the `last` of it came."""

    code: str
    last: int
    erasure_confirmed_on: str | None = None


@dataclass(frozen=True, slots=True)
class CaseState:
    """A case after `version` entries. Times are those of the entries, a date or an instant; that of
    an erasure is when it was recorded.

    `recorded_since_erasure` counts the entries after the last erasure that may hold data about the
    person again: every type but those that come with an erasure and seal nothing about them.
    `holds` and `open_requests` are the event ids of legal holds in force and of access requests not
    yet answered; `barring_requests` those of them that no erasure may go before: no day to erase
    by was fixed when they came, and the person has not waived it. `requests_of_no_share` and
    `confirmations_of_no_share` count what was said of recipients' erasures and is for no share that
    was recorded before. `shared_as_undisputed` counts the shares made while entries were disputed
    whose recipient was not told so, and `notices_of_no_share` what was said to have been told to
    the recipient of a share that was not recorded before.
    """

    stream: str
    hub: str
    organisation: str
    version: int = 0
    opened_at: str = ""
    merged_on: str | None = None
    last_occurred_at: str = ""
    last_recorded_at: str = ""
    identified_on: str | None = None
    purpose: str | None = None
    screening: str | None = None
    screened_on: str | None = None
    notified_on: str | None = None
    told: tuple[str, ...] = ()
    support: str | None = None
    support_offered_on: str | None = None
    support_answered_on: str | None = None
    reviewed_on: str | None = None
    closed_on: str | None = None
    review_due: str | None = None
    erase_due: str | None = None
    erasure_ordered_on: str | None = None
    erased_at: str | None = None
    erased_through: int | None = None
    recorded_since_erasure: int = 0
    erasures: tuple[Erasure, ...] = ()
    sources: tuple[Source, ...] = ()
    holds: tuple[str, ...] = ()
    open_requests: tuple[str, ...] = ()
    barring_requests: tuple[str, ...] = ()
    disclosures: tuple[Disclosed, ...] = ()
    requests_of_no_share: int = 0
    confirmations_of_no_share: int = 0
    contests: tuple[Contest, ...] = ()
    shared_as_undisputed: int = 0
    notices_of_no_share: int = 0
    acts: tuple[Act, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()

    @property
    def status(self) -> str:
        """Where the case is in its life: the furthest stage that was reached. What was erased and
        then recorded about again is not `erased`."""
        stages = (
            (self.erased_at and self.recorded_since_erasure, "recorded-since-erasure"),
            (self.erased_at and (not self._verified or self.outstanding), "erasing"),
            (self.erased_at and self._complete, "erasure-complete"),
            (self.erased_at, "erased"),
            (self.erasure_ordered_on, "erasure-due"),
            (self.closed_on, "closed"),
            (self.screening == "not-accepted", "not-accepted"),
            (self.support, self.support or ""),
            (self.informed, "informed"),
            (self.screening == "accepted", "accepted"),
            (self.identified_on, "identified"),
            (self.merged_on, "merged"),
        )
        return next((name for reached, name in stages if reached), "opened")

    @property
    def informed(self) -> bool:
        """Whether telling the reasons for the identification is recorded."""
        return "told_reasons" in self.told

    @property
    def not_told(self) -> tuple[str, ...]:
        """What of the checklist no notification has told yet."""
        return tuple(item for item in CHECKLIST if item not in self.told)

    @property
    def disputed(self) -> tuple[str, ...]:
        """Ids of the events that somebody contests, which is not decided."""
        open_ones = (contest for contest in self.contests if contest.decided_event is None)
        return tuple(sorted({event for contest in open_ones for event in contest.events}))

    @property
    def unacknowledged(self) -> int:
        """How many disclosures no recipient has acknowledged."""
        return sum(1 for share in self.disclosures if share.acknowledged_on is None)

    @property
    def erasures_unconfirmed(self) -> int:
        """How many disclosures a recipient was told to erase and has not confirmed."""
        return sum(
            1
            for share in self.disclosures
            if share.erasure_requested_on is not None and share.erasure_confirmed_on is None
        )

    @property
    def whole_erasure(self) -> Erasure | None:
        """The last erasure of the whole stream, or None."""
        whole = [erasure for erasure in self.erasures if erasure.versions is None]
        return whole[-1] if whole else None

    @property
    def _verified(self) -> bool:
        return self.whole_erasure is not None and self.whole_erasure.verified_at is not None

    @property
    def _complete(self) -> bool:
        return self.whole_erasure is not None and self.whole_erasure.gone_from_backups

    @property
    def outstanding(self) -> tuple[str, ...]:
        """Who owes word that it erased, once the stream is erased: `recipient/` and the id of a
        share, `source/` and the code of a system."""
        if self.whole_erasure is None:
            return ()
        shares = (s.id for s in self.disclosures if s.erasure_confirmed_on is None)
        systems = (s.code for s in self.sources if s.erasure_confirmed_on is None)
        return (*(f"recipient/{share}" for share in shares), *(f"source/{s}" for s in systems))

    @property
    def findings(self) -> tuple[str, ...]:
        """What was recorded of this case's erasures, here and at recipients, and of shares while
        entries were disputed, that is open to question. Indications for a person to weigh, not
        determinations.

        `pack-not-offered` is found here, of the open entries as they stand, and is never frozen
        into an entry: an offer is open and outlives the erasure, so that whoever has the stream
        can always look. It means that the stream records no offer, and reads the same whether one
        was forgotten or was lawfully not made: a reason not to offer is in a restricted stream
        alone, which is not looked at. What the person is told of their erasure holds no finding.
        """
        early = any(
            erasure.horizon_passed_on is not None and not erasure.gone_from_backups
            for erasure in self.erasures
        )
        found = (
            (any(not e.dual_control for e in self.erasures), "dual-control-not-evidenced"),
            (any(e.backdated for e in self.erasures), "erasure-backdated"),
            (any(e.barred for e in self.erasures), "erased-while-barred"),
            (any(w.versions is None and not w.pack_offered for w in self.erasures), NOT_OFFERED),
            (early, "backup-horizon-stated-early"),
            (self.requests_of_no_share, "request-matches-no-share"),
            (self.confirmations_of_no_share, "confirmation-matches-no-share"),
            (self.shared_as_undisputed, "shared-as-undisputed"),
            (self.notices_of_no_share, "notice-matches-no-share"),
        )
        return tuple(name for there, name in found if there)

    def to_json(self) -> dict[str, Any]:
        """The state as JSON values, what follows from it included; always the same keys in the
        same order. `from_json` reads it back."""
        return {
            **_members(self),
            "told": list(self.told),
            "disclosures": [_members(share) for share in self.disclosures],
            "acts": [act.to_json() for act in self.acts],
            "erasures": [erasure.to_json() for erasure in self.erasures],
            "sources": [_members(source) for source in self.sources],
            "contests": [contest.to_json() for contest in self.contests],
            "holds": list(self.holds),
            "open_requests": list(self.open_requests),
            "barring_requests": list(self.barring_requests),
            "counts": dict(self.counts),
            "status": self.status,
            "informed": self.informed,
            "not_told": list(self.not_told),
            "disputed": list(self.disputed),
            "unacknowledged": self.unacknowledged,
            "erasures_unconfirmed": self.erasures_unconfirmed,
            "outstanding": list(self.outstanding),
            "findings": list(self.findings),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "CaseState":
        """The state that `to_json` wrote; raises ValueError when the value is of another shape."""
        try:
            own = {field.name: value[field.name] for field in fields(cls)}
            own["told"] = tuple(own["told"])
            own["disclosures"] = tuple(Disclosed(**share) for share in own["disclosures"])
            own["acts"] = tuple(Act.from_json(act) for act in own["acts"])
            own["erasures"] = tuple(Erasure.from_json(one) for one in own["erasures"])
            own["sources"] = tuple(Source(**source) for source in own["sources"])
            own["contests"] = tuple(Contest.from_json(one) for one in own["contests"])
            for name in ("holds", "open_requests", "barring_requests"):
                own[name] = tuple(own[name])
            own["counts"] = tuple(sorted(own["counts"].items()))
            return cls(**own)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("not the stored state of a case") from error
