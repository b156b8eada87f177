"""Run a coroutine and return an exit code; report errors as one line, without a traceback."""

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
from nrm_async.cli.console import warn
from nrm_async.cli.signals import EndingSignals
from nrm_async.config import DEFAULT_BASE_URL

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
AUTHENTICATION: Final = 3
INTERRUPTED: Final = 130  # 128 + SIGINT: the exit code that shells report
BROKEN_PIPE: Final = 141  # 128 + SIGPIPE

_NOT_FOUND: Final = 404
_USAGE_ERRORS: Final = ConfigurationError | InvalidRequestError | FileFormatError


def run(work: Coroutine[Any, Any, int], *, interrupted: int | None = None) -> int:
    """Run a command until it finishes or a signal ends it.

    Args:
        work: The command.
        interrupted: The exit code after a signal; 128 plus the signal number by default.

    Returns:
        The exit code of the command, or of the signal or error that ended it.
    """
    signals = EndingSignals()
    try:
        with signals.handled():
            code = asyncio.run(signals.cancelling(work))
        sys.stdout.flush()
    except (KeyboardInterrupt, asyncio.CancelledError):  # `signals` cancels the task
        _flush_or_discard()
        return signals.exit_code if interrupted is None else interrupted
    except BrokenPipeError:
        _discard(sys.stdout)
        return BROKEN_PIPE
    except NRMError as error:
        warn(_message(error))
        return _code_of(error)
    except OSError as error:
        if signals.received is not None:  # the terminal is closed, so output fails
            _flush_or_discard()
            return signals.exit_code
        _discard(sys.stdout)
        warn(f"input or output failed: {error}")
        return FAILED
    return code


def _code_of(error: NRMError) -> int:
    if isinstance(error, AuthenticationError):
        return AUTHENTICATION
    if getattr(error, "report", None):  # a batch had started
        return FAILED
    return USAGE if isinstance(error, _USAGE_ERRORS) else FAILED


def _message(error: NRMError) -> str:
    """Return the error message with the request id, which the vendor's support asks for."""
    text, request_id = str(error), getattr(error, "request_id", None)
    if isinstance(error, ConfigurationError) and text.startswith("base_url "):
        text = f"the base URL (NRM_BASE_URL, --base-url) {text.removeprefix('base_url ')}"
    if request_id:
        text += f" [request id {request_id}]"
    return f"{text}; {wrong_base_url(error)}" if is_wrong_base_url(error) else text


def wrong_base_url(error: NRMError) -> str:
    """Return a hint with the full URL; the error contains only the path after the base URL."""
    context = click.get_current_context(silent=True)
    base = (context.params.get("base_url") if context else None) or DEFAULT_BASE_URL
    url = f"{base.rstrip('/')}{error.path or ''}"
    return f"{url}: is NRM_BASE_URL (or --base-url) right? it usually ends in /nrm"


def is_wrong_base_url(error: NRMError | None) -> bool:
    """Return whether the error is a 404 that suggests a wrong base URL.

    The API always serves ``GET /anis``, and refuses an action with JSON that mentions an ANI.
    """
    if not isinstance(error, APIError) or error.status != _NOT_FOUND:
        return False
    is_json = (error.body or "").lstrip().startswith("{")
    return error.method == "GET" or not is_json or "ani" not in error.message.lower()


def harden_output() -> None:
    """Prevent errors from closed standard streams and from characters that cannot be encoded."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process
            null = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - closed at exit
            atexit.register(null.close)
            setattr(sys, name, null)
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush_or_discard() -> None:
    """Flush both streams, discarding unwritable output: otherwise Python exits with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _discard(stream)


def _discard(stream: TextIO) -> None:
    """Redirect a stream to the null device: otherwise the flush at exit fails again."""
    try:
        target = stream.fileno()
    except (OSError, ValueError):  # not a file
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, target)
    os.close(null)
