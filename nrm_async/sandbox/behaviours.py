"""The sandbox's behaviours, each with its source."""

from enum import Enum

from attrs import frozen


class Basis(Enum):
    """The source of a behaviour."""

    DOCUMENTED = "D"
    """The NRM API documentation (v2)."""

    VENDOR = "V"
    """The vendor's own SDKs."""

    ASSUMED = "?"
    """No source: the real API may behave differently, and a client must handle both cases."""


@frozen
class Behaviour:
    """A behaviour of the sandbox, with its source."""

    what: str
    basis: Basis


_D, _V, _A = Basis.DOCUMENTED, Basis.VENDOR, Basis.ASSUMED

BEHAVIOURS: tuple[Behaviour, ...] = (
    # access
    Behaviour("API paths start with /nrm; all other paths belong to the sandbox", _D),
    Behaviour("a Bearer key is required; a missing or wrong key returns 401 or 403", _D),
    Behaviour("a missing or unknown key returns 401, a key of the wrong type 403", _A),
    Behaviour("path and method are checked first, then the key, then the body", _A),
    Behaviour("every response has an x-request-id (optional in the vendor's SDKs)", _V),
    Behaviour("errors are JSON objects with a message", _V),
    Behaviour("invalid input gets 400, unknown paths 404, wrong methods 405, large bodies 413", _A),
    Behaviour("the Content-Type header of requests is not checked", _A),
    # listing
    Behaviour("pages are numbered from 1; the default and maximum page_size is 1000", _D),
    Behaviour("the envelope uses snake_case, and each row has 24 fields in camelCase", _D),
    Behaviour("number filters by prefix; its non-digits are ignored", _D),
    Behaviour("a leading 1 in number is kept; if number has no digits, all rows are returned", _A),
    Behaviour("the envelope is consistent (the documentation's example is not)", _A),
    Behaviour("a page beyond the end is empty; if no rows match, total_pages is 0", _A),
    Behaviour("rows are in inventory order, with or without a filter", _A),
    Behaviour("rates are percentages", _D),
    Behaviour("brand, campaign, location and dates may be null", _V),
    Behaviour("counters may be fractional", _V),
    # actions
    Behaviour("ani is required; carrier (six digits) and note are optional", _D),
    Behaviour("ani has 7 to 15 digits; punctuation and the leading 1 of eleven are dropped", _A),
    Behaviour("a success response contains the ani in ten-digit form", _A),
    Behaviour("a null value for an optional field is invalid; unknown fields are ignored", _A),
    Behaviour("date is optional for pause, required for activate and ignored for remediate", _D),
    Behaviour("a date may have the format YYYYMMDDHHMMSS", _D),
    Behaviour("a date may have the format YYYY-MM-DD, which means midnight", _V),
    Behaviour("dates are in UTC", _A),
    Behaviour(
        "an action with a current or past date takes effect immediately, with today's date", _A
    ),
    Behaviour(
        "an action with a future date is accepted or refused immediately and takes effect later", _A
    ),
    Behaviour("a scheduled action is dropped if the status on its date does not allow it", _A),
    Behaviour("only an active and managed ANI can be paused", _D),
    Behaviour("a paused ANI has the status COOLING_OFF / Cooling Off and a dateDeactivated", _A),
    Behaviour("only an ANI in cooling off can be activated", _D),
    Behaviour("activation sets dateActivated and clears dateDeactivated", _A),
    Behaviour("remediate refuses an ANI outside the inventory: 'ANI not found in inventory'", _D),
    Behaviour("pause and activate refuse an ANI outside the inventory with the same message", _A),
    Behaviour("a second remediation within 30 days returns 200 and 'within cooldown'", _V),
    Behaviour("the cooldown is 30 times 24 hours; remediation is allowed exactly at its end", _A),
    Behaviour("refusals are {success: false, message}", _D),
    Behaviour("refusals have HTTP status 200 unless refusal_status is set", _A),
    Behaviour("there is no rate limit unless a fault sets one", _A),
    # switches (off by default)
    Behaviour("refusal_status: refusals have a 4xx status ('within cooldown' keeps 200)", _A),
    Behaviour("dialect v1: refusals are {status: failed, reason, ani}", _V),
    Behaviour("dialect v1: a successful remediation returns 'recieved request' [sic]", _V),
    Behaviour("text_ids: row ids are strings instead of numbers", _V),
    Behaviour("contradictory: count and total_pages are 1, as in the documentation's example", _D),
    # faults (only when injected)
    Behaviour("a 429 has a Retry-After in seconds", _V),
    Behaviour("Retry-After may be an HTTP-date, huge, negative, NaN, garbage or missing", _A),
    Behaviour("a 5xx may be an HTML page from a proxy", _V),
    Behaviour("a 5xx, a reset or a hang may occur before or after the action is applied", _A),
    Behaviour("rows shift between pages when numbers are added at the front or removed", _A),
)
"""All behaviours of the sandbox."""
