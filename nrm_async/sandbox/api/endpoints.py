"""The four endpoints of the API."""

from collections.abc import Mapping
from typing import Final

from attrs import define

from nrm_async.sandbox.api.parsing import RequestError, parse_action_request, parse_page_request
from nrm_async.sandbox.api.replies import Reply, Switches, action_reply, page_reply
from nrm_async.sandbox.state import State
from nrm_async.sandbox.values import ENDPOINTS, ActionName, Endpoint

BASE_PATH: Final = "/nrm"
"""Base path of the API (NRM API documentation)."""

PATHS: Final[Mapping[str, Endpoint]] = {f"{BASE_PATH}/{name}": name for name in ENDPOINTS}
"""The endpoint for each path."""


@define
class Endpoints:
    """The four API endpoints.

    Attributes:
        state: The account's state.
        api_key: The accepted API key.
        restricted_key: A valid API key of the wrong type.
        page_size_max: Maximum and default page size.
        switches: The response options.
    """

    state: State
    api_key: str
    restricted_key: str
    page_size_max: int
    switches: Switches

    def authorize(self, method: str, endpoint: Endpoint | None, authorization: str) -> Endpoint:
        """Return the endpoint if the path, the method and the key are valid.

        Raises:
            RequestError: The path (404), the method (405) or the key (401, 403) is invalid. They
                are checked in this order.
        """
        if endpoint is None:
            raise RequestError(404, "Not found")
        allowed = "GET" if endpoint == "anis" else "POST"
        if method != allowed:
            raise RequestError(405, "Method not allowed", allow=allowed)
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise RequestError(401, "Missing API key")
        if key == self.restricted_key:
            raise RequestError(403, "Invalid API key type")
        if key != self.api_key:
            raise RequestError(401, "Invalid API key")
        return endpoint

    def list_anis(self, query: Mapping[str, str]) -> Reply:
        """Handle ``GET /anis``; raise RequestError (400) if the query is invalid."""
        request = parse_page_request(query, self.page_size_max)
        page = self.state.page(request, text_ids=self.switches.text_ids)
        return page_reply(page, self.switches)

    def act(self, action: ActionName, body: bytes, number: int) -> Reply:
        """Handle an action request; raise RequestError (400) if the body is invalid."""
        request = parse_action_request(action, body)
        return action_reply(self.state.act(request, number), request.ani, self.switches)
