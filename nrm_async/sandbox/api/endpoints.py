"""What each endpoint answers, without the HTTP: method, path, key, query and body in, bytes out."""

from collections.abc import Mapping
from typing import Final

from attrs import define, frozen

from nrm_async.sandbox.api.parsing import RequestError, action_request, page_request
from nrm_async.sandbox.api.switches import Switches
from nrm_async.sandbox.api.wording import Reply, answer_reply, page_reply
from nrm_async.sandbox.state import State
from nrm_async.sandbox.values import ENDPOINTS, ActionName, Endpoint

BASE_PATH: Final = "/nrm"
"""Where the API lives below its host (NRM API documentation)."""

PATHS: Final[Mapping[str, Endpoint]] = {f"{BASE_PATH}/{name}": name for name in ENDPOINTS}
"""The endpoint at each path."""


@frozen
class Call:
    """One request as far as the endpoints look at it.

    Attributes:
        method: The HTTP method.
        endpoint: The endpoint at its path; None where there is none.
        authorization: The header of that name, or an empty text.
    """

    method: str
    endpoint: Endpoint | None
    authorization: str


@define
class Endpoints:
    """The four endpoints in front of a state.

    Attributes:
        state: What they list and change.
        api_key: The key that is let in.
        restricted_key: The key that is known, and of the wrong type.
        page_size_max: Largest page size, and the default.
        switches: How answers are worded.
    """

    state: State
    api_key: str
    restricted_key: str
    page_size_max: int
    switches: Switches

    def admit(self, call: Call) -> Endpoint:
        """RequestError (404, 405, 401 or 403) unless the call may go on to its body."""
        if call.endpoint is None:
            raise RequestError(404, "Not found")
        allowed = "GET" if call.endpoint == "anis" else "POST"
        if call.method != allowed:
            raise RequestError(405, "Method not allowed", allow=allowed)
        self._authorize(call.authorization)
        return call.endpoint

    def listing(self, query: Mapping[str, str]) -> Reply:
        """``GET /anis``; RequestError (400) for a bad query."""
        request = page_request(query, self.page_size_max)
        page = self.state.page(request, text_ids=self.switches.text_ids)
        return page_reply(page, self.switches)

    def act(self, action: ActionName, body: bytes, number: int) -> Reply:
        """``POST`` to an action; RequestError (400) for a bad body."""
        request = action_request(action, body)
        return answer_reply(self.state.act(request, number), request.ani, self.switches)

    def _authorize(self, authorization: str) -> None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise RequestError(401, "Missing API key")
        if key == self.restricted_key:
            raise RequestError(403, "Invalid API key type")
        if key != self.api_key:
            raise RequestError(401, "Invalid API key")
