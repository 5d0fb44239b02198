"""The report as one JSON object, for programs. Members are only ever added (docs/verify.md)."""

from dataclasses import asdict
from typing import Any

import orjson

from ledger_verifier.audit.report.model import Failure, Report


def as_object(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    checkpoint = report.checkpoint
    return {
        "verdict": report.verdict.value,
        "subject": report.subject,
        "checked": dict(report.checked),
        "failures": [_failure(failure) for failure in report.failures],
        "failure_count": report.failure_count,
        "lacking": list(report.lacking),
        "conduct": list(report.conduct),
        "not_assessed": list(report.not_assessed),
        "compared": [asdict(compared) for compared in report.compared],
        "unread": [list(ends) for ends in report.unread],
        "tree_size": report.tree_size,
        "root": report.root,
        "origin": None if checkpoint is None else checkpoint.origin,
        "checkpoint": None
        if checkpoint is None
        else {
            "quorum": checkpoint.quorum,
            "quorum_met": checkpoint.quorum_met,
            "witnessed_at": checkpoint.witnessed_at,
            "signatures": [asdict(signature) for signature in checkpoint.signatures],
        },
        "provable": report.provable,
        "shown": list(report.shown),
        "not_shown": list(report.not_shown),
        "evidence": list(report.evidence),
        "policy_sha256": report.policy_sha256,
        "verifier": {"version": report.verifier_version, "sha256": report.verifier_sha256},
    }


def as_json(report: Report) -> bytes:
    """The object as UTF-8, indented, with a final newline."""
    return orjson.dumps(as_object(report), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _failure(failure: Failure) -> dict[str, Any]:
    value: dict[str, Any] = {"position": failure.position, "stream": failure.stream}
    if failure.last is not None:
        value["last"] = failure.last
    if failure.field is not None:
        value["field"] = failure.field
    if failure.tile is not None:
        value["tile"] = failure.tile
    value["reason"] = failure.reason
    return value
