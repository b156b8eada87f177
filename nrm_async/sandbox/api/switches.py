"""How answers are worded where the contract leaves it open; all off by default."""

from typing import Any, Final, Literal, TypeAlias

import attrs
from attrs import frozen

Dialect: TypeAlias = Literal["v1", "v2"]

_OK: Final = 200


def _status(_instance: object, _attribute: object, value: object) -> None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or not (value == _OK or 400 <= value < 500):  # type: ignore[operator]
        raise ValueError(f"refusal_status must be 200 or from 400 to 499, not {value!r}")


def _dialect(_instance: object, _attribute: object, value: object) -> None:
    if value not in ("v1", "v2"):
        raise ValueError(f"dialect must be 'v1' or 'v2', not {value!r}")


def _flag(_instance: object, attribute: "attrs.Attribute[bool]", value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{attribute.name} must be True or False, not {value!r}")  # noqa: TRY004


@frozen(kw_only=True)
class Switches:
    """What the sandbox may do instead, so that a client can be held against either.

    Attributes:
        refusal_status: HTTP status of refusals, 200 or 4xx (not documented).
        dialect: ``v2`` as documented, or ``v1``: refusals as ``{"status": "failed", "reason"}``
            and ``recieved request`` [sic] (vendor's SDKs).
        text_ids: Ids of rows as strings (vendor's SDKs: number or string).
        contradictory: Envelopes that contradict themselves as the documentation's example does:
            ``count`` 1 and ``total_pages`` 1, whatever there is.

    Raises:
        ValueError: One breaks its rule; the message names both.
    """

    refusal_status: int = attrs.field(default=_OK, validator=_status)
    dialect: Dialect = attrs.field(default="v2", validator=_dialect)
    text_ids: bool = attrs.field(default=False, validator=_flag)
    contradictory: bool = attrs.field(default=False, validator=_flag)

    def changed(self, changes: dict[str, Any]) -> "Switches":
        """The same with some changed; ValueError for an unknown name or a wrong value."""
        known = [one.name for one in attrs.fields(Switches)]
        for name in changes:
            if name not in known:
                raise ValueError(f"unknown switch {name!r}: known are {', '.join(known)}")
        return attrs.evolve(self, **changes)
