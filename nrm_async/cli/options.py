"""Options shared by several commands: connection, files, durations."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, TypeVar

import attrs
import click
from click.core import ParameterSource

from nrm_async import ConfigurationError, InvalidRequestError, NRMClient
from nrm_async.events import Observer
from nrm_async.files import Format
from nrm_async.files.common import SUFFIXES, format_of

KEY_VARIABLE: Final = "OUTBOUNDIQ_API_KEY"

# Each request in flight requires a task and a connection; a larger value is a typo.
_MAX_CONCURRENCY: Final = 1_000

_UNITS: Final = {"h": "hours", "m": "minutes", "s": "seconds"}
_DURATION: Final = re.compile(
    r"(?:(?P<h>[0-9.]+)h)?(?:(?P<m>[0-9.]+)m)?(?:(?P<s>[0-9.]+)s?)?", re.IGNORECASE
)

Command = TypeVar("Command", bound=Callable[..., Any])


def duration(text: str) -> timedelta:
    """Parse a duration such as 90s, 5m or 1h30m; a number without a unit is in seconds.

    Raises:
        BadParameter: The text is not a duration, or the duration is zero.

    Example:
        >>> duration("1h30m").total_seconds()
        5400.0
    """
    found = _DURATION.fullmatch(text.strip())
    try:
        parts = {unit: float(found[key] or 0) for key, unit in _UNITS.items()} if found else {}
        parsed = timedelta(**parts)
    except (ValueError, OverflowError):
        parsed = timedelta()
    if not parsed:
        raise click.BadParameter(f"{text!r} is not a duration: write it as 90s, 5m or 1h30m")
    return parsed


class WholeNumber(click.IntRange):
    """An integer range that error messages call "whole number"."""

    name = "whole number"


@attrs.frozen
class Connection:
    """Client settings, apart from the API key, which is read from the environment."""

    base_url: str | None
    concurrency: int
    timeout: float
    proxy: str | None = attrs.field(default=None, repr=False)  # may contain a password

    def client(self, on_event: Observer | None = None) -> NRMClient:
        """Create a client with these settings.

        Raises:
            ConfigurationError: A setting is invalid, or the key is missing.
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


def connection_options(command: Command) -> Command:
    """Decorate a command with the options of a ``Connection``."""
    for option in (
        click.option("--timeout", type=float, default=30.0, show_default=True,
                     envvar="NRM_TIMEOUT", show_envvar=True, help="Seconds for one attempt."),
        click.option("--concurrency", type=WholeNumber(1, _MAX_CONCURRENCY), default=16,
                     metavar="N", show_default=True, envvar="NRM_CONCURRENCY", show_envvar=True,
                     help="Maximum number of requests in flight."),
        click.option("--proxy", envvar="NRM_PROXY", show_envvar=True, metavar="URL",
                     help="Proxy URL; if it contains a password, use the variable."),
        click.option("--base-url", envvar="NRM_BASE_URL", show_envvar=True, metavar="URL",
                     help="Base URL of the API, if not the vendor's."),
    ):  # fmt: skip
        command = option(command)
    return command


def typed_connection_options() -> list[str]:
    """Return the connection options given on the command line, except a proxy with a password."""
    context = click.get_current_context()
    return [
        word
        for name in ("base_url", "concurrency", "timeout", "proxy")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        and not (name == "proxy" and "@" in context.params[name])
        for word in (f"--{name.replace('_', '-')}", str(context.params[name]))
    ]


def _column(text: str) -> tuple[str, str]:
    field, separator, title = text.partition("=")
    if not (separator and title.strip()):
        raise click.BadParameter(f"{text!r} is not FIELD=TITLE, such as ani=Phone")
    return field.strip().lower(), title


column_options: Final = (
    click.option(
        "--column", "column", metavar="FIELD=TITLE", type=_column, multiple=True,
        help="Read FIELD (ani, action, carrier, note or date) from the column TITLE of the list, "
        "e.g. ani=Phone; repeatable.",
    ),
    click.option(
        "--no-column", "no_column", metavar="FIELD", multiple=True,
        help="Ignore the column that would be read as FIELD, e.g. date if the column Date is "
        "not the date of the action; repeatable.",
    ),
)  # fmt: skip
"""Options that select the columns of a list."""


def chosen_columns(
    column: Sequence[tuple[str, str]], no_column: Sequence[str]
) -> dict[str, str | None]:
    """Return the column title for each field, or ``None`` for a field to ignore.

    Raises:
        InvalidRequestError: A field is given twice.
    """
    pairs = [*column, *((field.strip().lower(), None) for field in no_column)]
    fields = [field for field, _title in pairs]
    for field in fields:
        if fields.count(field) > 1:
            raise InvalidRequestError(f"--column and --no-column must name {field!r} only once")
    return dict(pairs)


json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
"""Decorator that adds ``--json`` to a command."""

existing_file: Final = click.Path(exists=True, dir_okay=False)
"""Parameter type: the path of an existing file."""


def file_format(path: str, name: str) -> Format:
    """Return the format that the suffix of a path implies.

    Args:
        path: The path.
        name: The name of the path in the error message.

    Raises:
        InvalidRequestError: The suffix is unknown.
    """
    try:
        return format_of(path)
    except InvalidRequestError:
        raise InvalidRequestError(f"{name} must end in {SUFFIXES}, not {path!r}") from None


@contextmanager
def usage_errors() -> Iterator[None]:
    """Convert SDK errors about invalid arguments to usage errors."""
    try:
        yield
    except (InvalidRequestError, ConfigurationError) as error:
        raise click.UsageError(str(error)) from None
