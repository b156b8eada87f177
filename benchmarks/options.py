"""What the command was told, and the machine it runs on."""

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
    """How to measure.

    Attributes:
        rounds: Rounds of each comparison.
        quick: Whether to measure less of everything, to see that it works.
        typescript: URL of a module that drives an SDK in TypeScript, if there is one.
        notes: What was told beside the figures, such as which server it was.
    """

    rounds: int = 5
    quick: bool = False
    typescript: str | None = None
    notes: list[str] = attrs.field(factory=list)

    @classmethod
    def of(cls, given: argparse.Namespace) -> Self:
        """From the command line."""
        return cls(
            2 if given.quick else given.rounds,
            given.quick,
            Path(given.typescript).resolve().as_uri() if given.typescript else None,
        )

    def has(self, package: str) -> bool:
        """Whether a rival is installed; says so where it is not."""
        if importlib.util.find_spec(package) is not None:
            return True
        self.note(f"left out: {package} is not installed (the extra is called bench)")
        return False

    def note(self, text: str) -> None:
        """Tell beside the figures: a person at once, and everybody at the end."""
        print(text, file=sys.stderr, flush=True)
        self.notes.append(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison")
    parser.add_argument("--quick", action="store_true", help="less of everything, to try it")
    parser.add_argument(
        "--typescript",
        metavar="MODULE",
        default=os.environ.get("NRM_TYPESCRIPT_SDK"),
        help="ES module that drives an SDK in TypeScript; see benchmarks/typescript.py",
    )


_PACKAGES: Final = (
    "nrm-async", "aiohttp", "msgspec", "attrs", "cattrs", "uvloop", "httpx", "pydantic",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """The processor, the system, and the versions of what is measured."""
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
