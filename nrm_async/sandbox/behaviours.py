"""What the sandbox does, and on whose word: the only place where that is said in full."""

from enum import Enum

from attrs import frozen


class Basis(Enum):
    """Who vouches for a behaviour."""

    DOCUMENTED = "D"
    """The NRM API documentation (v2)."""

    VENDOR = "V"
    """The vendor's own SDKs."""

    ASSUMED = "?"
    """Nobody has said: the real API may differ, and a client must survive either answer."""


@frozen
class Behaviour:
    """One thing the sandbox does, and the basis for doing it."""

    what: str
    basis: Basis


_D, _V, _A = Basis.DOCUMENTED, Basis.VENDOR, Basis.ASSUMED

BEHAVIOURS: tuple[Behaviour, ...] = (
    # access
    Behaviour("the API lives below /nrm; everything else is the sandbox's own", _D),
    Behaviour("a Bearer key; a missing, invalid or wrong-type key is 401 or 403", _D),
    Behaviour("missing and unknown keys are 401, a key of the wrong type is 403", _A),
    Behaviour("path and method are checked first, then the key, then the body", _A),
    Behaviour("every answer carries x-request-id (the vendor: it may)", _V),
    Behaviour("errors are JSON with a message", _V),
    Behaviour("bad input is 400, an unknown path 404, a wrong method 405, a big body 413", _A),
    Behaviour("the Content-Type of a request is not checked", _A),
    # listing
    Behaviour("page counts from 1; page_size is 1000 by default and at most", _D),
    Behaviour("envelope in snake_case, 24 fields a row in camelCase", _D),
    Behaviour("number is a prefix filter; its non-digits are stripped", _D),
    Behaviour("a leading 1 in number is kept; a number without digits filters nothing", _A),
    Behaviour("the envelope agrees with itself (the documentation's example does not)", _A),
    Behaviour("a page beyond the end is empty; no rows means no pages", _A),
    Behaviour("rows are in order of inventory, filtered or not", _A),
    Behaviour("rates are percent", _D),
    Behaviour("brand, campaign, place and dates may be null", _V),
    Behaviour("counters may be fractional", _V),
    # actions
    Behaviour("ani is required; carrier (six digits) and note are optional", _D),
    Behaviour("ani loses its punctuation and the leading 1 of eleven digits; 7 to 15 digits", _A),
    Behaviour("a success echoes the ani in its ten-digit form", _A),
    Behaviour("an optional field sent as null is bad input; an unknown field is ignored", _A),
    Behaviour("date is optional for pause, required for activate, ignored for remediate", _D),
    Behaviour("a date may be written YYYYMMDDHHMMSS", _D),
    Behaviour("a date may be written YYYY-MM-DD, meaning its first second", _V),
    Behaviour("dates are in UTC", _A),
    Behaviour("a date now or in the past takes effect at once, and is stamped as today", _A),
    Behaviour("a future date is judged and answered now, and takes effect when it comes", _A),
    Behaviour("a scheduled action that no longer fits the status when it comes is dropped", _A),
    Behaviour("only an active and managed ANI can be paused", _D),
    Behaviour("a paused ANI is COOLING_OFF / Cooling Off, with dateDeactivated set", _A),
    Behaviour("only an ANI in cooling off can be activated", _D),
    Behaviour("activation sets dateActivated and clears dateDeactivated", _A),
    Behaviour(
        "an ANI outside the inventory cannot be remediated: 'ANI not found in inventory'", _D
    ),
    Behaviour("pause and activate refuse an unknown ANI with that same message", _A),
    Behaviour("a remediation is refused as 'within cooldown', in a 200, for 30 days", _V),
    Behaviour("the window is 30 times 24 hours, and is over on the last second", _A),
    Behaviour("refusals are {success: false, message}", _D),
    Behaviour("refusals come with HTTP 200 unless refusal_status says otherwise", _A),
    Behaviour("there is no rate limit; faults make one", _A),
    # switches, off unless set
    Behaviour("refusal_status: refusals as a 4xx ('within cooldown' stays a 200)", _A),
    Behaviour("dialect v1: refusals are {status: failed, reason, ani}", _V),
    Behaviour("dialect v1: a remediation is answered 'recieved request' [sic]", _V),
    Behaviour("text_ids: the id of a row is a string, not a number", _V),
    Behaviour("contradictory: count 1 and total_pages 1, as in the documented example", _D),
    # faults, only on purpose
    Behaviour("429 with Retry-After in seconds", _V),
    Behaviour("Retry-After as an HTTP-date, huge, negative, NaN, garbage or missing", _A),
    Behaviour("a 5xx may come from infrastructure as HTML", _V),
    Behaviour("a 5xx, a reset or a silence may come before an action is applied or after", _A),
    Behaviour("rows shift between pages while numbers join in front and others leave", _A),
)
"""Every behaviour of the sandbox with its basis."""
