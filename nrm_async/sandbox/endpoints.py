"""What each endpoint answers, without the HTTP: method, path, key, query and body in, bytes out."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from attrs import frozen

from nrm_async.sandbox.parsing import RequestError, action_request, page_request
from nrm_async.sandbox.state import State
from nrm_async.sandbox.values import ActionName, Answer, Applied, Refused

BASE_PATH: Final = "/nrm"
"""Where the API lives below its host (NRM API documentation)."""

_ACTIONS: Final[dict[str, ActionName]] = {
    f"{BASE_PATH}/pause": "pause",
    f"{BASE_PATH}/activate": "activate",
    f"{BASE_PATH}/remediate": "remediate",
}
_METHODS: Final = {f"{BASE_PATH}/anis": "GET"} | dict.fromkeys(_ACTIONS, "POST")
_encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder().encode


@frozen
class Reply:
    """An answer ready to be sent: HTTP status, JSON body, and for a 405 the method allowed."""

    status: int
    body: bytes
    allow: str | None = None


@frozen
class Endpoints:
    """The four endpoints in front of a state.

    Attributes:
        state: What they list and change.
        api_key: The key that is let in.
        restricted_key: The key that is known, and of the wrong type.
        refusal_status: HTTP status of refusals.
        page_size_max: Largest page size, and the default.
    """

    state: State
    api_key: str
    restricted_key: str
    refusal_status: int
    page_size_max: int

    def admit(self, method: str, path: str, authorization: str) -> None:
        """RequestError (404, 405, 401 or 403) unless the call may go on to its body."""
        allowed = _METHODS.get(path)
        if allowed is None:
            raise RequestError(404, "Not found")
        if method != allowed:
            raise RequestError(405, "Method not allowed", allow=allowed)
        self._authorize(authorization)

    def listing(self, query: Mapping[str, str]) -> Reply:
        """``GET /anis``; RequestError (400) for a bad query."""
        page = self.state.page(page_request(query, self.page_size_max))
        return Reply(200, _encode(page.envelope()))

    def act(self, path: str, body: bytes) -> Reply:
        """``POST`` to the action at ``path``; RequestError (400) for a bad body."""
        return self._reply(self.state.act(action_request(_ACTIONS[path], body)))

    def _authorize(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise RequestError(401, "Missing API key")
        if key == self.restricted_key:
            raise RequestError(403, "Invalid API key type")
        if key != self.api_key:
            raise RequestError(401, "Invalid API key")

    def _reply(self, answer: Answer) -> Reply:
        if isinstance(answer, Applied):
            return Reply(200, _encode({"status": answer.status, "ani": answer.ani}))
        if isinstance(answer, Refused):
            return _failure(self.refusal_status, answer.message)
        return Reply(200, _encode({"status": "within cooldown"}))


def error_reply(error: RequestError) -> Reply:
    """A request error in the API's own style."""
    return _failure(error.status, error.message, error.allow)


def _failure(status: int, message: str, allow: str | None = None) -> Reply:
    return Reply(status, _encode({"success": False, "message": message}), allow)
