"""Compare the outcomes that a client reports with what the fake API really did."""

from collections.abc import Iterable

from nrm_async import CallResult, Outcome, Remediate
from tests.fakes import FakeAPI


def audit(api: FakeAPI, results: Iterable[CallResult]) -> list[str]:
    """Return everything that is wrong with these results.

    ``CONFIRMED`` may stand for an action that was not applied itself in one case only: its number
    was already in the desired state, and the client had no way to know. The state is as desired,
    which is all that this outcome says.
    """
    api.apply_late()
    by_note = {result.action.note or "": result for result in results if result.action}
    excusable = _without_known_state(api, by_note)
    wrong = [f"two requests at the same time for {ani}" for ani in api.overlaps]
    for ani, notes in api.arrivals.items():
        if len(set(notes)) != len(notes):
            wrong.append(f"actions on {ani} were interleaved: {notes}")
    for note, result in by_note.items():
        problem = _problem(api, note, result, is_excusable=note in excusable)
        if problem:
            wrong.append(f"{problem}: {result}")
    return wrong


def _problem(api: FakeAPI, note: str, result: CallResult, *, is_excusable: bool) -> str | None:
    applied, received = api.applied[note], api.received[note]
    is_remediation = isinstance(result.action, Remediate)
    if result.attempts != api.sent[note]:
        return f"sent {api.sent[note]} times"
    if applied > 1:
        return "applied twice"
    if is_remediation and received > 1:
        return "a remediation that may have arrived was sent again"
    match result.outcome:
        case Outcome.REJECTED | Outcome.NOT_APPLIED if applied:
            return "applied, but reported otherwise"
        case Outcome.NOT_APPLIED if received:
            return "reported as not applied, but may have been applied"
        case Outcome.APPLIED if not applied:
            return "reported as applied, but was not"
        case Outcome.CONFIRMED if is_remediation:
            return "a remediation cannot be confirmed"
        case Outcome.CONFIRMED if not applied and not (is_excusable and note in api.redundant):
            return "reported as confirmed, but was not applied"
    return None


def _without_known_state(api: FakeAPI, by_note: dict[str, CallResult]) -> set[str]:
    """Return the actions before which the client had no way to know their number's state."""
    unknown = set[str]()
    for notes in api.arrivals.values():
        for note in notes:
            unknown.add(note)
            result = by_note.get(note)
            if result is None or isinstance(result.action, Remediate):
                continue
            if result.ok or result.outcome is Outcome.UNKNOWN:
                break
    return unknown
