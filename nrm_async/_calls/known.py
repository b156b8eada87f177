"""Whether numbers are in service, as far as this client's own actions tell."""

from typing import Final

from nrm_async._confirm import shows_at_once
from nrm_async.actions import Action, Activate, Remediate
from nrm_async.errors import NRMError
from nrm_async.models import Ani, Receipt

# Enough for the repeats of one number that a caller makes in practice; bounded, because a
# client may see a million numbers.
_REMEMBERED: Final = 16_384


class LastKnown:
    """What this client's own actions tell of the numbers they were about."""

    def __init__(self) -> None:
        # Whether they are in service; None: in doubt. In two parts, so that the oldest half is
        # forgotten at once: an order kept for each number would cost a twentieth of a call.
        self._recent: dict[str, bool | None] = {}
        self._older: dict[str, bool | None] = {}

    def note(self, action: Action, value: Receipt | NRMError) -> None:
        """Remember what an action came to, or that it is in doubt and may take effect yet."""
        if isinstance(action, Remediate):
            return
        if isinstance(value, NRMError) and not value.maybe_applied:
            return
        # A date ahead takes effect some day: until then and after, nothing is known.
        is_known = isinstance(value, Receipt) and shows_at_once(action)
        self._remember(action.ani, isinstance(action, Activate) if is_known else None)

    def _remember(self, ani: str, is_active: bool | None) -> None:
        if len(self._recent) >= _REMEMBERED // 2:
            self._older, self._recent = self._recent, {}
        self._recent[ani] = is_active

    def before(self, action: Action, item: object) -> bool | None:
        """Whether the number was in service; failing that, what the caller's own row says.

        After an action in doubt the worst is assumed: that it is as this one asks already.
        """
        for part in (self._recent, self._older):
            if action.ani in part:
                known = part[action.ani]
                return isinstance(action, Activate) if known is None else known
        if isinstance(item, Ani) and item.status is not None:
            return item.is_active
        return None
