"""What the open entries of a case leave open to question, as it is frozen before an erasure.

Guarantees: pure and total; of the state alone, and so of open parts: whoever has the entries gets
the same. Indications for a person to weigh, not determinations of breach.
"""

from ledger_verifier.meaning.case_state import CaseState


def findings_of(state: CaseState, day: str) -> list[str]:
    """Codes of what there is to find in a state on a day (`YYYY-MM-DD`), in order."""
    found = {
        "never-informed": state.identified_on is not None and not state.informed,
        "support-not-offered": state.screening == "accepted" and state.support is None,
        "disclosure-unacknowledged": state.unacknowledged > 0,
        "erasure-overdue": state.erase_due is not None and state.erase_due < day,
    }
    return sorted(code for code, there in found.items() if there)
