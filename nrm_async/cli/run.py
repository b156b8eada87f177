"""From a coroutine to an exit code: whatever ends it becomes one clear line, never a traceback."""

import asyncio
import atexit
import io
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TextIO

import click

from nrm_async import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    FileFormatError,
    InvalidRequestError,
    NRMError,
)
from nrm_async.cli.show import complain
from nrm_async.config import DEFAULT_BASE_URL

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
AUTHENTICATION: Final = 3
INTERRUPTED: Final = 130  # 128 + SIGINT, and
BROKEN_PIPE: Final = 141  # 128 + SIGPIPE: what shells report for programs that these end

_NOT_FOUND: Final = 404
_USER_S: Final = ConfigurationError | InvalidRequestError | FileFormatError


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run a command to its end.

    Returns:
        The code that the command gave, or the one of the error that ended it.
    """
    try:
        code = asyncio.run(work)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except NRMError as error:
        complain(words_of(error))
        return code_of(error)
    except OSError as error:
        _drop_output()
        complain(f"input or output failed: {error}")
        return FAILED
    return code


def code_of(error: NRMError) -> int:
    """The exit code that an error of the SDK means."""
    if isinstance(error, AuthenticationError):
        return AUTHENTICATION
    if getattr(error, "report", None):  # of a batch that had begun
        return FAILED
    return USAGE if isinstance(error, _USER_S) else FAILED


def words_of(error: NRMError) -> str:
    """The error, with the request id that support will ask for."""
    words, request_id = str(error), getattr(error, "request_id", None)
    if isinstance(error, ConfigurationError) and words.startswith("base_url "):
        words = f"the base URL (NRM_BASE_URL, --base-url) {words.removeprefix('base_url ')}"
    if request_id:
        words += f" [request id {request_id}]"
    return f"{words}; {wrong_place(error)}" if is_wrong_place(error) else words


def wrong_place(error: NRMError) -> str:
    """The whole address that was asked, and what to look at: errors tell its last part only."""
    context = click.get_current_context(silent=True)
    base = (context.params.get("base_url") if context else None) or DEFAULT_BASE_URL
    asked = f"{base.rstrip('/')}{error.path or ''}"
    return f"{asked}: is NRM_BASE_URL (or --base-url) right? it usually ends in /nrm"


def is_wrong_place(error: NRMError | None) -> bool:
    """Whether it looks as if the API were somewhere else.

    There always is a listing; and the API's own refusals are JSON, and speak of an ANI.
    """
    if not isinstance(error, APIError) or error.status != _NOT_FOUND:
        return False
    is_json = (error.body or "").lstrip().startswith("{")
    return error.method == "GET" or not is_json or "ani" not in error.message.lower()


def tolerant_output() -> None:
    """Neither a closed stream nor a character that its encoding lacks may end a command."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the command
            setattr(sys, name, _nowhere())
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open to the end
    atexit.register(nowhere.close)
    return nowhere


def _drop_output() -> None:
    """Send what is left to nowhere: the interpreter would complain when it flushes at exit."""
    try:
        target = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, target)
    os.close(nowhere)
