"""Convert results to flat rows and errors to plain data, and back.

Files, data frames and the command-line tool use these conversions. A record preserves all the
information in a result, so a result read from a file is equivalent to the original.
"""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from nrm_async import errors
from nrm_async._values import Value
from nrm_async.actions import Action, Activate, Pause, Remediate
from nrm_async.errors import NRMError
from nrm_async.models import Receipt
from nrm_async.results.result import CallResult, Failed, Outcome, Succeeded

ACTIONS: Final[Mapping[str, type[Pause | Activate | Remediate]]] = {
    "pause": Pause,
    "activate": Activate,
    "remediate": Remediate,
}
"""Action classes by the action names used in files."""

ACTION_OPTIONS: Final = ("carrier", "note", "date")
"""Action fields other than ``ani``; not every action has a ``date``."""

_MAX_INPUT: Final = 1_000  # characters kept from an input that is not a number
_ERROR_CLASSES: Final = {name: getattr(errors, name) for name in errors.__all__}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ResultRecord(Value):
    """One row of a saved report.

    Attributes:
        index: Position of the input in its batch, from 0.
        ani: The number, or the original input if it is not a number.
        action: ``pause``, ``activate`` or ``remediate``; ``None`` if the input was invalid.
        carrier: The carrier passed to the action.
        note: The note passed to the action.
        date: The date, as sent to the API.
        outcome: The value of the ``Outcome``.
        ok: Whether the action was applied.
        attempts: Number of attempts.
        elapsed: Seconds for all attempts and the waits between them.
        status: Status returned by the API.
        error_type: Class name of the error.
        error: Error message.
        request_id: The ``x-request-id`` header of the response.
        details: All other data needed to restore the result.
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


def result_row(result: CallResult) -> dict[str, Any]:
    """Return a result as one flat row: the fields of ``ResultRecord`` except ``details``.

    The values are not shortened.

    Example:
        >>> action = Pause("2345678901")
        >>> result = Failed(index=0, input=action, action=action, outcome=Outcome.NOT_APPLIED,
        ...                 error=errors.NotSentError("no route"))
        >>> row = result_row(result)
        >>> row["action"], row["outcome"], row["error_type"]
        ('pause', 'not_applied', 'NotSentError')
    """
    action = result.action
    receipt, error = (result.receipt, None) if result.ok else (None, result.error)
    return {
        "index": result.index,
        "ani": result.ani,
        "action": None if action is None else _action_name(action),
        **{name: getattr(action, name, None) for name in ACTION_OPTIONS},
        "outcome": result.outcome.value,
        "ok": result.ok,
        "attempts": result.attempts,
        "elapsed": result.elapsed,
        "status": None if receipt is None else receipt.status,
        "error": None if error is None else error.message,
        "error_type": None if error is None else type(error).__name__,
        "request_id": getattr(receipt if result.ok else error, "request_id", None),
    }


def _action_name(action: Action) -> str:
    return next(name for name, cls in ACTIONS.items() if isinstance(action, cls))


def to_record(result: CallResult) -> ResultRecord:
    """Convert a result to a record, truncating long inputs and escaping lone surrogates."""
    row = result_row(result)
    row["ani"] = _encodable(row["ani"])[:_MAX_INPUT]
    if result.ok:
        # Leave out values that are already in the row or the same in every receipt.
        known = {"ani": result.ani, "status": row["status"], "confirmed": False}
        receipt = attrs.asdict(result.receipt)
        del receipt["request_id"]
        details = {name: value for name, value in receipt.items() if value != known.get(name)}
    else:
        details = encode_error(result.error)
        row["error_type"] = details.pop("type")
        row["error"] = _encodable(row["error"])
    return ResultRecord(**row, details=details)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def from_record(record: ResultRecord) -> CallResult:
    """Restore a result from a record.

    The input of the result is its action, or the original text if that was invalid.

    Raises:
        ValueError: The record contains an unknown outcome or action.
    """
    action = _restore_action(record)
    common: dict[str, Any] = {
        "index": record.index,
        "input": record.ani if action is None else action,
        "action": action,
        "outcome": Outcome(record.outcome),
        "attempts": record.attempts,
        "elapsed": record.elapsed,
    }
    if common["outcome"] in (Outcome.APPLIED, Outcome.CONFIRMED):
        receipt: dict[str, Any] = {
            "ani": record.ani,
            "status": record.status or "",
            "request_id": record.request_id,
        }
        return Succeeded(receipt=Receipt(**(receipt | dict(record.details))), **common)
    encoded = {"type": record.error_type, **record.details}
    return Failed(error=decode_error(encoded, record.error), **common)


def _restore_action(record: ResultRecord) -> Action | None:
    if record.action is None:
        return None
    if record.action not in ACTIONS:
        raise ValueError(f"unknown action {record.action!r}")
    options = {name: getattr(record, name) for name in ACTION_OPTIONS}
    cls: Any = ACTIONS[record.action]
    action: Action = cls(
        record.ani, **{name: value for name, value in options.items() if value is not None}
    )
    return action


# Encoding and decoding of errors


def encode_error(error: NRMError) -> dict[str, Any]:
    """Convert an error to JSON types: its class name, arguments and scalar attributes."""
    # Encode a subclass defined elsewhere as its nearest base class in ``nrm_async.errors``.
    names = (cls.__name__ for cls in type(error).__mro__)
    return {
        "type": next(name for name in names if name in _ERROR_CLASSES),
        "args": [_encode_argument(value) for value in error.args],
        "noted": {name: value for name, value in vars(error).items() if _is_scalar(value)},
    }


def _encode_argument(value: object) -> Any:
    if isinstance(value, NRMError):
        return encode_error(value)
    return value if _is_scalar(value) else None


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def decode_error(encoded: Mapping[str, Any], message: str | None = None) -> NRMError:
    """Restore an error.

    If the class is unknown or does not accept the arguments, return an ``NRMError`` with
    ``message`` or, without one, the class name.
    """
    name = str(encoded.get("type"))
    cls: Any = _ERROR_CLASSES.get(name, NRMError)
    arguments = [
        decode_error(value) if isinstance(value, Mapping) else value
        for value in encoded.get("args") or [message or name]
    ]
    try:
        error: NRMError = cls(*arguments)
    except TypeError:  # the class requires more than a message
        error = NRMError(message or name)
    noted = encoded.get("noted") or {}
    vars(error).update({name: value for name, value in noted.items() if _is_scalar(value)})
    return error
