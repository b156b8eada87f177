"""One action on one number: a receipt, or an exception."""

from nrm_async.actions import Action, ActionDate, Activate, AniLike, Pause, Remediate
from nrm_async.client.base import ClientBase
from nrm_async.config import OnUnknown
from nrm_async.models import Receipt


class Acting(ClientBase):
    """The part of a client that acts on single numbers."""

    async def pause(
        self,
        ani: AniLike,
        *,
        carrier: str | None = None,
        note: str | None = None,
        date: ActionDate | None = None,
        on_unknown: OnUnknown | None = None,
    ) -> Receipt:
        """Rest a number (``POST /pause``): it goes into its cooling-off period.

        The API takes it only for a number that is active and managed.

        Args:
            ani: The number in any usual spelling, or an ``Ani``.
            carrier: Six-digit carrier id.
            note: Free text.
            date: When; now if left out. A ``date``, a ``datetime``, ``"YYYY-MM-DD"`` or
                ``"YYYYMMDDHHMMSS"``. An aware ``datetime`` is converted to UTC, a naive one
                is written as it stands: the API's time zone is not documented.
            on_unknown: What to do if the answer is lost: ``"confirm"`` reads the number back
                until the truth is known, ``"report"`` raises at once; ``None`` does what the
                client was told to. A remediation or a date in the future does not show in a
                number's status, so there the outcome stays unknown.

        Returns:
            It was applied: the API said so, or reading the number back showed it.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.
            RejectedError: The API refused, in its own words.
            AuthenticationError: The key is missing, invalid or of the wrong type.
            RateLimitError: Throttled to the end; nothing was applied.
            NotSentError: It never left this machine.
            OutcomeUnknownError: It may have been applied; the message says what was seen.

        Example::

            receipt = await client.pause("2345678901", note="resting")
            print(receipt.status)
        """
        return await self._act(ani, Pause(ani, carrier=carrier, note=note, date=date), on_unknown)

    async def activate(
        self,
        ani: AniLike,
        *,
        date: ActionDate,
        carrier: str | None = None,
        note: str | None = None,
        on_unknown: OnUnknown | None = None,
    ) -> Receipt:
        """Bring a rested number back (``POST /activate``).

        The API takes it only for a number that is cooling off, and always wants a date.
        Arguments, return value and errors are those of ``pause``.

        Example::

            from datetime import date

            receipt = await client.activate("2345678901", date=date.today())
            print(receipt.status)
        """
        return await self._act(
            ani, Activate(ani, date=date, carrier=carrier, note=note), on_unknown
        )

    async def remediate(
        self,
        ani: AniLike,
        *,
        carrier: str | None = None,
        note: str | None = None,
        on_unknown: OnUnknown | None = None,
    ) -> Receipt:
        """Ask the carriers to clear a spam label (``POST /remediate``), once in 30 days.

        A second request within 30 days is refused with "within cooldown". One whose answer was
        lost is never sent again. Arguments, return value and errors are those of ``pause``.

        Example::

            receipt = await client.remediate("2345678901", note="Spam tag identified")
            print(receipt.status)
        """
        return await self._act(ani, Remediate(ani, carrier=carrier, note=note), on_unknown)

    async def _act(self, ani: AniLike, action: Action, on_unknown: OnUnknown | None) -> Receipt:
        self._session.network()
        how = self._on_unknown(on_unknown)
        result = await self._calls.perform(0, ani, action, self._flight(), how)
        if result.ok:
            return result.receipt
        raise result.error
