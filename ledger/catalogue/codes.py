"""Vocabularies shared by several families of types.

A value is never removed or given another meaning while a registered schema holds it; a new value
is a new schema. Vocabularies name unlawful and careless conduct too (`unencrypted-email`,
`none-stated`): what cannot be recorded happens off the books.
"""

from typing import Literal

OrganisationCategory = Literal[
    "police",
    "other-police-force",
    "council",
    "childrens-services",
    "youth-justice",
    "school",
    "health",
    "probation",
    "prison",
    "court",
    "housing",
    "voluntary-sector",
    "government-department",
    "immigration",
    "oversight-body",
    "platform",
    "other",
]
"""Kinds of organisation; also what stands for a recipient in the open envelope."""

Purpose = Literal["support", "safeguarding", "enforcement", "statutory"]
"""Why data is held or shared, in four kinds."""

LegalBasis = Literal[
    "law-enforcement-task",
    "public-task",
    "legal-obligation",
    "vital-interests",
    "recognised-legitimate-interest",
    "legitimate-interests",
    "consent",
    "none-stated",
]
"""DPA 2018 s.35(2) for the police, Article 6 of the UK GDPR for everyone else."""

SubjectCategory = Literal[
    "suspect", "convicted", "victim", "witness", "at-risk", "contact", "unknown"
]
"""The distinctions of DPA 2018 s.38(3), and who a hub exists for."""

DataCategory = Literal[
    "identity",
    "contact",
    "family",
    "education",
    "employment",
    "housing",
    "health",
    "social-care",
    "ethnicity",
    "offending-history",
    "intelligence",
    "victimisation",
    "social-media",
    "risk-assessment",
    "support-plan",
]
"""What kind of data, as sharing agreements list it."""

Gateway = Literal[
    "crime-and-disorder-act-1998-s115",
    "crime-and-disorder-act-1998-s17",
    "pcsc-act-2022-s16",
    "children-act-2004-s10",
    "children-act-2004-s11",
    "children-act-1989-s17",
    "children-act-1989-s47",
    "common-law-policing",
    "dpa-2018-sch2-para2",
    "court-order",
    "consent",
    "other-statute",
    "none-stated",
]
"""The power relied on to share, those that do not carry it among them."""
