"""A result as one flat row, for files and data frames, and back."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from nrm_async._values import Value
from nrm_async.actions import Action, Activate, Pause, Remediate
from nrm_async.models import Receipt
from nrm_async.results.failure import error_from_plain, plain_error
from nrm_async.results.result import CallResult, Failed, Outcome, Succeeded

ACTIONS: Final[Mapping[str, type[Pause | Activate | Remediate]]] = {
    "pause": Pause,
    "activate": Activate,
    "remediate": Remediate,
}
"""The actions by their names in files."""

_LONGEST_INPUT: Final = 1_000  # characters of an input that is no number


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ResultRecord(Value):
    """One row of a saved report.

    Attributes:
        index: Position of the input in its batch, from 0.
        ani: The number, or what was given in its place.
        action: ``pause``, ``activate`` or ``remediate``; empty where the input was bad.
        carrier: The action's carrier.
        note: The action's note.
        date: The action's date, as it was sent.
        outcome: The ``Outcome``.
        ok: Whether it was applied.
        attempts: How many times it was sent or tried.
        elapsed: Seconds over all attempts and the waits between them.
        status: The API's word for what it did.
        error_type: Class of the error.
        error: Words of the error.
        request_id: The answer's ``x-request-id``.
        details: All else that is needed to have the result back.
    """

    index: int
    ani: str
    action: str | None = None
    carrier: str | None = None
    note: str | None = None
    date: str | None = None
    outcome: str
    ok: bool = False
    attempts: int = 0
    elapsed: float = 0.0
    status: str | None = None
    error_type: str | None = None
    error: str | None = None
    request_id: str | None = None
    details: Mapping[str, object] = attrs.field(factory=dict)


def record_of(result: CallResult) -> ResultRecord:
    """The result as one flat row."""
    action = result.action
    return ResultRecord(
        index=result.index,
        ani=_valid(result.ani)[:_LONGEST_INPUT],
        action=None if action is None else _name_of(action),
        carrier=getattr(action, "carrier", None),
        note=getattr(action, "note", None),
        date=getattr(action, "date", None),
        outcome=result.outcome.value,
        ok=result.ok,
        attempts=result.attempts,
        elapsed=result.elapsed,
        **(_of_success(result) if result.ok else _of_failure(result)),
    )


def _name_of(action: Action) -> str:
    return next(name for name, kind in ACTIONS.items() if isinstance(action, kind))


def _valid(text: str) -> str:
    """A stranger's text; what UTF-8 cannot write is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _of_success(result: Succeeded) -> dict[str, Any]:
    known = {"ani": result.ani, "status": result.receipt.status, "confirmed": False}
    said = attrs.asdict(result.receipt)
    request_id = said.pop("request_id")
    rest = {name: value for name, value in said.items() if value != known.get(name)}
    return {"status": result.receipt.status, "request_id": request_id, "details": rest}


def _of_failure(result: Failed) -> dict[str, Any]:
    details = plain_error(result.error)
    return {
        "error_type": details.pop("type"),
        "error": _valid(result.error.message),
        "request_id": getattr(result.error, "request_id", None),
        "details": details,
    }


def result_of(record: ResultRecord) -> CallResult:
    """The result again; its input is its action, or the text that could not become one.

    Raises:
        ValueError: The record names an outcome or action that does not exist.
    """
    action = _action_of(record)
    common: dict[str, Any] = {
        "index": record.index,
        "input": record.ani if action is None else action,
        "action": action,
        "outcome": Outcome(record.outcome),
        "attempts": record.attempts,
        "elapsed": record.elapsed,
    }
    if common["outcome"] in (Outcome.APPLIED, Outcome.CONFIRMED):
        return Succeeded(receipt=_receipt_of(record), **common)
    plain = {"type": record.error_type, **record.details}
    return Failed(error=error_from_plain(plain, record.error), **common)


def _action_of(record: ResultRecord) -> Action | None:
    if record.action is None:
        return None
    if record.action not in ACTIONS:
        raise ValueError(f"there is no action {record.action!r}")
    given = {"carrier": record.carrier, "note": record.note, "date": record.date}
    set_only = {name: value for name, value in given.items() if value is not None}
    make: Any = ACTIONS[record.action]
    action: Action = make(record.ani, **set_only)
    return action


def _receipt_of(record: ResultRecord) -> Receipt:
    fields: dict[str, Any] = {
        "ani": record.ani,
        "status": record.status or "",
        "request_id": record.request_id,
    }
    return Receipt(**(fields | dict(record.details)))
