"""Entry point of ``nrm-async`` and ``python -m nrm_async``; requires the ``cli`` extra."""

import importlib
import sys
from typing import NoReturn

_USAGE = 2
_INTERRUPTED = 130  # 128 + SIGINT: the exit code that shells report


def _has_extra() -> bool:
    try:
        importlib.import_module("click")
        importlib.import_module("rich")
    except ImportError:
        return False
    return True


def main() -> NoReturn:
    """Run the command and exit with its exit code."""
    if not _has_extra():
        sys.stderr.write("nrm-async requires its extra: pip install 'nrm-async[cli]'\n")
        sys.exit(_USAGE)
    try:
        from nrm_async.cli import main as run  # noqa: PLC0415 - needs the extra

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
