"""The command ``nrm-async``, also ``python -m nrm_async``: it needs the extra ``cli``."""

import importlib
import sys
from typing import NoReturn

_USAGE = 2
_INTERRUPTED = 130  # what shells report for a program that Ctrl-C ended


def _has_extra() -> bool:
    try:
        importlib.import_module("click")
        importlib.import_module("rich")
    except ImportError:
        return False
    return True


def main() -> NoReturn:
    """Run the command and exit with its code."""
    if not _has_extra():
        sys.stderr.write("nrm-async needs its extra: pip install 'nrm-async[cli]'\n")
        sys.exit(_USAGE)
    try:
        from nrm_async.cli import main as run  # noqa: PLC0415 - only now is it sure to import

        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
