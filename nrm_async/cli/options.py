"""What several commands share: where the API is, and how hard to work it."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

import attrs
import click
from click.core import ParameterSource

from nrm_async import ConfigurationError, InvalidRequestError, NRMClient
from nrm_async.events import Observer
from nrm_async.files.formats import SUFFIXES, Format, format_of

KEY_VARIABLE: Final = "OUTBOUNDIQ_API_KEY"

# Every place is a task and a connection: more than this is a slip of the finger.
_MOST_AT_ONCE: Final = 1_000

_UNITS: Final = {"h": "hours", "m": "minutes", "s": "seconds"}
_SPAN: Final = re.compile(
    r"(?:(?P<h>[0-9.]+)h)?(?:(?P<m>[0-9.]+)m)?(?:(?P<s>[0-9.]+)s?)?", re.IGNORECASE
)

Command = TypeVar("Command", bound=Callable[..., Any])


def span(text: str) -> timedelta:
    """A length of time, such as 90s, 5m or 1h30m; a bare number is seconds.

    Example:
        >>> span("1h30m").total_seconds()
        5400.0
    """
    found = _SPAN.fullmatch(text.strip())
    try:
        parts = {unit: float(found[key] or 0) for key, unit in _UNITS.items()} if found else {}
        length = timedelta(**parts)
    except (ValueError, OverflowError):
        length = timedelta()
    if not length:
        raise click.BadParameter(f"{text!r} is no time: give it as 90s, 5m or 1h30m")
    return length


class Whole(click.IntRange):
    """A whole number of a range, in words that people use."""

    name = "whole number"


@attrs.frozen
class Connection:
    """Where the API is, and how hard to work it; the key comes from the environment."""

    base_url: str | None
    concurrency: int
    timeout: float
    proxy: str | None = attrs.field(default=None, repr=False)  # may hold a password

    def client(self, on_event: Observer | None = None) -> NRMClient:
        """A client with these settings, which tells this observer.

        Raises:
            ConfigurationError: A setting breaks its rule, or there is no key.
        """
        if not os.environ.get(KEY_VARIABLE):
            raise ConfigurationError(f"the API key is missing: set {KEY_VARIABLE}")
        return NRMClient(
            base_url=self.base_url,
            max_concurrency=self.concurrency,
            timeout=self.timeout,
            proxy=self.proxy,
            on_event=on_event,
        )


def _connection(command: Command) -> Command:
    for option in (
        click.option("--timeout", type=float, default=30.0, show_default=True,
                     envvar="NRM_TIMEOUT", show_envvar=True, help="Seconds for one attempt."),
        click.option("--concurrency", type=Whole(1, _MOST_AT_ONCE), default=16, metavar="N",
                     show_default=True, envvar="NRM_CONCURRENCY", show_envvar=True,
                     help="Most requests in flight at once."),
        click.option("--proxy", envvar="NRM_PROXY", show_envvar=True, metavar="URL",
                     help="Go through this proxy; a password belongs in the variable."),
        click.option("--base-url", envvar="NRM_BASE_URL", show_envvar=True, metavar="URL",
                     help="Where the API is, if not at the vendor's."),
    ):  # fmt: skip
        command = option(command)
    return command


connection: Final = _connection
"""Give a command the options of a ``Connection``."""


def typed_connection() -> list[str]:
    """The options of the connection that were typed: others come from the environment again."""
    context = click.get_current_context()
    return [
        word
        for name in ("base_url", "concurrency", "timeout", "proxy")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        and not (name == "proxy" and "@" in context.params[name])  # a password is not shown
        for word in (f"--{name.replace('_', '-')}", str(context.params[name]))
    ]


json_lines: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
"""Give a command the option to print one JSON object on each line."""

existing_file: Final = click.Path(exists=True, dir_okay=False)
"""An argument that names a file."""


def format_of_file(path: str, option: str) -> Format:
    """The form that a file's name tells, for commands that have no ``--format``.

    Raises:
        InvalidRequestError: It tells none.
    """
    try:
        return format_of(path)
    except InvalidRequestError:
        raise InvalidRequestError(
            f"{option} must end in {SUFFIXES}, and {path!r} does not"
        ) from None


@contextmanager
def usage() -> Iterator[None]:
    """What the SDK refuses of the arguments is wrong usage."""
    try:
        yield
    except (InvalidRequestError, ConfigurationError) as error:
        raise click.UsageError(str(error)) from None
