"""Command-line options, and a description of the machine."""

import argparse
import importlib.util
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Self

import attrs


@attrs.frozen
class Options:
    """Measurement options.

    Attributes:
        rounds: Number of rounds per comparison.
        quick: Whether to run shorter measurements, as a trial.
        typescript: URL of a module that runs a TypeScript SDK, if any.
        notes: Notes to print with the figures, such as the server in use.
    """

    rounds: int = 5
    quick: bool = False
    typescript: str | None = None
    notes: list[str] = attrs.field(factory=list)

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """Create options from parsed command-line arguments."""
        return cls(
            2 if arguments.quick else arguments.rounds,
            arguments.quick,
            Path(arguments.typescript).resolve().as_uri() if arguments.typescript else None,
        )

    def has(self, package: str) -> bool:
        """Return whether a rival is installed; add a note if it is not."""
        if importlib.util.find_spec(package) is not None:
            return True
        self.note(f"skipped: {package} is not installed (install the extra bench)")
        return False

    def note(self, text: str) -> None:
        """Print a note to standard error, and keep it for the end of the run."""
        print(text, file=sys.stderr, flush=True)
        self.notes.append(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds per comparison")
    parser.add_argument("--quick", action="store_true", help="run shorter measurements, as a trial")
    parser.add_argument(
        "--typescript",
        metavar="MODULE",
        default=os.environ.get("NRM_TYPESCRIPT_SDK"),
        help="ES module that runs a TypeScript SDK (see benchmarks/typescript.py)",
    )


_PACKAGES: Final = (
    "nrm-async", "aiohttp", "msgspec", "attrs", "cattrs", "uvloop", "httpx", "pydantic",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Return the processor, the system and the package versions."""
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: found for name in _PACKAGES if (found := _version(name))},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
