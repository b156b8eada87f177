"""What several commands share: where the API is, and how hard to work it."""

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
import click

from nrm_async import ConfigurationError, NRMClient

KEY_VARIABLE: Final = "OUTBOUNDIQ_API_KEY"

# Every place is a task and a connection: more than this is a slip of the finger.
_MOST_AT_ONCE: Final = 1_000

Command = TypeVar("Command", bound=Callable[..., Any])


@attrs.frozen
class Connection:
    """Where the API is, and how hard to work it; the key comes from the environment."""

    base_url: str | None
    concurrency: int
    timeout: float

    def client(self) -> NRMClient:
        """A client with these settings.

        Raises:
            ConfigurationError: A setting breaks its rule, or there is no key.
        """
        if not os.environ.get(KEY_VARIABLE):
            raise ConfigurationError(f"the API key is missing: set {KEY_VARIABLE}")
        return NRMClient(
            base_url=self.base_url, max_concurrency=self.concurrency, timeout=self.timeout
        )


def _connection(command: Command) -> Command:
    for option in (
        click.option("--timeout", type=float, default=30.0, show_default=True,
                     envvar="NRM_TIMEOUT", show_envvar=True, help="Seconds for one attempt."),
        click.option("--concurrency", type=click.IntRange(1, _MOST_AT_ONCE), default=16,
                     show_default=True, envvar="NRM_CONCURRENCY", show_envvar=True,
                     help="Most requests in flight at once."),
        click.option("--base-url", envvar="NRM_BASE_URL", show_envvar=True, metavar="URL",
                     help="Where the API is, if not at the vendor's."),
    ):  # fmt: skip
        command = option(command)
    return command


connection: Final = _connection
"""Give a command the options of a ``Connection``."""

json_lines: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
"""Give a command the option to print one JSON object on each line."""
