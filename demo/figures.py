"""Every figure the simulation uses, with what each one stands for.

Three kinds of figure are kept apart. *Published* ones come from public statements about
the systems simulated. *Planning* ones are working assumptions about a hub of this kind,
for which nothing has been published: no cohort size, no share of people informed and no
number of disclosures has ever been given for the Concern Hub. *Scale* ones say how much
of a full year the demonstration records. No figure describes a real person or a real case.
"""

from datetime import UTC, date, datetime
from typing import Final

# --- The two hubs -----------------------------------------------------------------------

LEWISHAM: Final = "E09000023"
"""ONS code of the London Borough of Lewisham, the only borough of the pilot according to
the Mayor's answer of 22 July 2019."""

CENTRAL: Final = "central"
"""The hub code of a London-wide team: Project Alpha serves every borough."""

YEAR_START: Final = datetime(2020, 4, 1, tzinfo=UTC)
YEAR_END: Final = datetime(2021, 4, 1, tzinfo=UTC)
"""The grant year of decision PCD 867: 1 April 2020 to 31 March 2021."""

HUB_LIVE_ON: Final = date(2020, 4, 1)
"""Both simulated hubs are recorded as live from the first day of the simulated year."""

GRANT_PENCE: Final = 147_930_616
"""Published: £1,479,306.16 from the Home Office for that year (PCD 867)."""

# --- Scale ------------------------------------------------------------------------------

CASES: Final = 100
"""People identified in the year. Planning figure: 3,200 identifications a year over 32
boroughs is 100 a borough."""

REFERRALS: Final = 475
"""Content referrals recorded by the demonstration: half of REFERRALS_A_YEAR."""

REFERRALS_A_YEAR: Final = 950
"""Planning figure, close to the published 992 requests to all platforms from June 2021 to
May 2022."""

CONSULTATIONS_A_CASE: Final = 25
"""Planning figure: how often a record is looked at over the life of a case."""

CONSULTATION_SCALE: Final = 0.4
"""The share of those consultations that is simulated: 10 a case instead of 25."""

# --- What happens in a case (planning figures) --------------------------------------------

SHARE_ACCEPTED: Final = 0.72
"""Identifications that the hub accepts."""

SHARE_INFORMED: Final = 0.85
"""Accepted people who are told why they were identified."""

SHARE_WITHHELD: Final = 0.12
"""Accepted people from whom the explanation is withheld on a recorded ground. The rest,
3 %, are neither told nor covered by a ground: the defect that a reviewer should find."""

INFORMED_MEDIAN_DAYS: Final = 12.0
"""Half of those informed are told within this many days of being identified."""

INFORMED_TAIL_SIGMA: Final = 0.9
"""Spread of the log-normal delay: about one in ten waits longer than 38 days."""

WITHHOLDING_GROUNDS: Final = {"a": 10, "b": 60, "c": 3, "d": 2, "e": 25}
"""Weights of the grounds of section 44(4)(a) to (e) of the Data Protection Act 2018: 60 % (b),
25 % (e) and 10 % (a) are planning figures; (c) and (d) share what is left."""

WITHHOLDING_REVIEW_DAYS: Final = 90
"""A withholding names a review at most this many days away. A policy default, not law."""

DISCLOSURES_A_CASE: Final = 2.6
"""Mean number of disclosures of an accepted case (a Poisson distribution)."""

SHARE_ACKNOWLEDGED: Final = 0.94
"""Disclosures whose recipient says that it received them."""

SUPPORT_OUTCOMES: Final = {"accepted": 60, "declined": 25, "no-response": 15}
"""What people answer to an offer of support."""

REVIEW_DAYS: Final = 91
"""Days from one review of an open case to the next. A policy default."""

SHARE_ALTERED: Final = 0.2
"""Accepted cases whose record is altered at its source once, for an address out of date."""

SHARE_ENTERED_TWICE: Final = 0.05
"""Answers to an offer that are entered twice by mistake, and corrected."""

SHARE_ERASURE_CONFIRMED: Final = 0.9
"""Disclosures whose recipient, told to erase when the case is closed, confirms that it did."""

REJECTED_ERASED_WITHIN_DAYS: Final = 28
"""A case that was not accepted is erased within this many days of identification."""

DAYS_TO_CLOSE: Final = {"accepted": (60, 240), "declined": (14, 40), "no-response": (28, 60)}
"""Shortest and longest time, in days, from an offer of support to the closing of the case,
by what was answered. A case that would be closed after the year stays open."""

DAYS_TO_OFFER: Final = (5, 30)
"""Shortest and longest time, in days, from identification to an offer of support."""

DAYS_TO_WITHHOLD: Final = (1, 10)
"""Shortest and longest time, in days, from identification to a decision not to tell."""

RETENTION_MONTHS: Final = 12
"""Months after closing at which an accepted case is due for erasure, which is after the end of
the simulated year. A policy default."""

SHARE_FROM_POLICE: Final = 0.4
"""Cases that the police bring to the hub, under Part 3 of the Act; the council brings the
rest under the UK GDPR. Planning figure."""

# --- Content referred to platforms ---------------------------------------------------------

SHARE_REMOVED: Final = 0.89
"""Published: 879 of 992 requests (88.6 %) led to removal between June 2021 and May 2022."""

SHARE_REPEATED: Final = 0.02
"""Referrals that repeat an earlier one. Planning figure, the same as for appeals: in a
published appeal, content was referred for a second time after its reinstatement."""

PLATFORM_ANSWER_DAYS: Final = (0.2, 21.0)
"""Shortest and longest time from a referral to the platform's outcome."""

# --- People (shape only; everyone is invented) ---------------------------------------------

AGE_BANDS: Final = {"10-12": 4, "13-15": 31, "16-17": 35, "18-20": 20, "21-24": 10}
"""Weights of age at identification. Planning figure: a hub for young people at risk, of
whom most would be under 18. The only published age nearby is that the youngest person in
the records of Project Alpha was 13."""
