"""Custody: what the ledger does with its own keys. Recorded by the service alone, in the ledger
stream, with identifiers that mean nothing elsewhere."""

from typing import ClassVar, Literal

from pydantic import Field

from ledger.catalogue.fields import Instant, Open, Uuid
from ledger.catalogue.model import Declaration, EventData, Example

Keeper = Literal["file", "vault", "kms", "pkcs11"]
"""Where a wrapping key is kept: a key file, HashiCorp Vault, AWS KMS, or a PKCS#11 device."""


class WrappingKeyRotated(EventData):
    """Every stored key is under another wrapping key than before."""

    about: ClassVar[Declaration] = Declaration(
        type="wrapping_key.rotated",
        family="governance",
        description=(
            "The key that wraps all keys of sealed fields was replaced, and every stored key is "
            "wrapped under the new one. Keys are named by random references, which mean something "
            "in the ledger's own key store alone."
        ),
        duty="DPA 2018 ss.40, 66 and UK GDPR Arts 5(1)(f), 32 (security of processing)",
        stream_kinds=("ledger",),
        occurred="instant",
        service_alone=True,
        example=Example(
            id="019c7a52-b200-7c4e-9d1f-5b0e7a3c9d21",
            subject="ledger/3a1f0c52-8e07-4d7c-9b55-0f4c2d7be8a4",
            time="2026-03-01T02:10:00Z",
            hub="central",
            source="hub-ledger",
            organisation="hub-ledger",
            data={
                "wrapping_key": "6c0f2f0e-3a57-4f0c-8a0b-6f3f1d0c7f52",
                "keeper": "vault",
                "replaces": "b1b7c5d4-0f6e-4d55-9a3d-2d1f6f6f0a10",
                "replaced_keeper": "file",
                "began_at": "2026-03-01T02:09:12.000Z",
            },
        ),
    )

    wrapping_key: Open[Uuid] = Field(description="Reference of the wrapping key in use since.")
    keeper: Open[Keeper] = Field(description="What kind of keeper has it.")
    replaces: Open[Uuid] = Field(description="Reference of the wrapping key that it replaced.")
    replaced_keeper: Open[Keeper] = Field(description="What kind of keeper has or had that one.")
    began_at: Open[Instant] = Field(
        description="When keys were first wrapped under the new one; the entry's own time is when "
        "no key was under the old one any more."
    )
