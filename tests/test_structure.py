"""The structure of the package: ranks, public names, a light import, a tidy top level."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import nrm_async

PACKAGE = Path(nrm_async.__file__).parent
ROOT = Path(__file__).parent.parent

# A module imports only from lower ranks. A folder is one room, at the rank of its name.
RANKS = {
    "_version": 0,
    "_values": 0,
    "errors": 0,
    "_validation": 1,
    "_columns": 2,
    "_arrow": 3,
    "config": 2,
    "actions": 2,
    "models": 2,
    "_context": 3,
    "results": 4,
    "_wire": 4,
    "_limits": 4,
    "inventory": 5,
    "events": 5,
    "stats": 5,
    "_inputs": 5,
    "_transport": 5,
    "_paging": 6,
    "_engine": 6,
    "batch": 6,
    "files": 6,
    "otel": 6,
    "client": 7,
    "__init__": 8,
    "sandbox": 9,
    "cli": 10,
    "testing": 10,
    "__main__": 11,
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports_of(path: Path) -> set[str]:
    """Return every module that the file imports, also in functions and for types."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} uses a relative import"
            module = node.module or ""
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def rooms_imported(path: Path) -> set[str]:
    own = {tuple(name.split(".")) for name in imports_of(path)}
    rooms = {parts[1] for parts in own if parts[0] == "nrm_async" and len(parts) > 1}
    return {room for room in rooms if room in RANKS}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_ranks(path: Path) -> None:
    """Ranks exclude circles; imports inside functions are checked too."""
    room = room_of(path)
    assert room in RANKS, f"{room} has no rank"
    for other in rooms_imported(path) - {room}:
        assert RANKS[other] < RANKS[room], f"{room} imports {other}"


def test_the_guide_has_the_same_ranks() -> None:
    """The table of modules in the guide lists each module at its rank."""
    guide = (PACKAGE / "README.md").read_text()
    listed = {
        name.removesuffix(".py").removesuffix("/"): int(rank)
        for rank, cell in re.findall(r"^\| (\d+) \| ([^|]+) \|", guide, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", cell)
    }
    assert listed == RANKS


def test_the_sandbox_is_a_witness_of_its_own() -> None:
    """It shares no code with the client that is tested against it; it only reads its files."""
    for path in MODULES:
        if room_of(path) == "sandbox":
            readers = {"files", "models"} if path.name == "imported.py" else set()
            assert rooms_imported(path) <= {"sandbox"} | readers, path


def test_only_the_transport_uses_the_http_client() -> None:
    """aiohttp's client is used in one place; its server belongs to the sandbox."""
    users = {room_of(path) for path in MODULES if _imports(path, "aiohttp")}
    assert users <= {"_transport", "sandbox"}


def test_only_the_wire_package_decodes() -> None:
    """msgspec and cattrs are used in one place; the sandbox is independent."""
    users = {room_of(path) for path in MODULES if _imports(path, "msgspec", "cattrs")}
    assert users <= {"_wire", "sandbox"}


def test_only_files_and_columns_know_arrow() -> None:
    """pyarrow is loaded where it is needed, and no import of the package loads it."""
    users = {room_of(path) for path in MODULES if "pyarrow" in path.read_text()}
    assert users <= {"_arrow", "_columns", "files", "inventory", "results"}
    assert not any(_imports(path, "pyarrow") for path in MODULES)


def _imports(path: Path, *packages: str) -> bool:
    return any(name.split(".")[0] in packages for name in imports_of(path))


def test_the_package_init_defines_nothing() -> None:
    """``__init__`` holds a docstring, imports and ``__all__``."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    kinds = [type(node) for node in tree.body]
    assert set(kinds) == {ast.Expr, ast.ImportFrom, ast.Assign}
    assert kinds.count(ast.Assign) == 1


def test_all_lists_the_public_names() -> None:
    """``__all__`` has exactly the imported names."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(nrm_async.__all__) == imported
    assert len(nrm_async.__all__) == len(imported)
    assert all(hasattr(nrm_async, name) for name in nrm_async.__all__)


PINNED = """
NRMClient Ani AniPage Receipt Inventory AniStream Pause Activate Remediate Succeeded Failed
CallResult Outcome BatchReport Timeouts RetryPolicy NRMError ConfigurationError
InvalidRequestError TransportError NotSentError OutcomeUnknownError ClientTimeoutError APIError
AuthenticationError RejectedError RateLimitError ServerError ResponseError InventoryDriftError
"""


def test_pinned_names() -> None:
    """Names that other code relies on stay."""
    assert set(PINNED.split()) <= set(nrm_async.__all__)


def test_the_import_is_light() -> None:
    """It loads neither the command, nor the sandbox, nor files, nor an adapter, nor a test tool."""
    code = "import sys, nrm_async; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "click", "rich", "pytest", "hypothesis", "aioresponses", "looptime", "trustme",
        "aiohttp.web", "nrm_async.sandbox", "nrm_async.cli", "nrm_async.testing", "uvloop",
        "opentelemetry", "nrm_async.otel", "pyarrow", "nrm_async.files", "cattrs",
        "nrm_async._arrow", "nrm_async._columns", "nrm_async.results.record",
    }  # fmt: skip
    assert heavy.isdisjoint(loaded)
    assert "nrm_async.client" in loaded


# Methods that attrs compiles at import, 0.1 ms or more a class: what an import takes is counted
# here, not timed. Raise it for classes that are worth it; ``Value`` spares most of them three.
MOST_GENERATED = 54

GENERATED = """
import sys, attrs, nrm_async
classes = {
    value
    for name, module in list(sys.modules.items()) if name.startswith("nrm_async")
    for value in vars(module).values() if isinstance(value, type) and attrs.has(value)
}
for kind in classes:
    for name, value in vars(kind).items():
        code = getattr(value, "__code__", None)
        if code and code.co_filename.startswith("<attrs generated"):
            print(kind.__module__, kind.__name__, name)
"""


def test_the_import_generates_little_code() -> None:
    """The number of methods that attrs compiles at every import does not grow."""
    generated = subprocess.run(
        [sys.executable, "-c", GENERATED], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "nrm_async.models Ani __init__" in generated, "nothing was counted"
    assert len(generated) <= MOST_GENERATED, "\n".join(sorted(generated))


def test_the_import_loads_nothing_but_the_package_and_its_libraries() -> None:
    """No other module is loaded only for this package, of the standard library either."""
    code = """
import sys, aiohttp, attrs, msgspec
from anyio import Semaphore
before = set(sys.modules)
import nrm_async
print(*{name.split(".")[0] for name in set(sys.modules) - before})
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert loaded == ["nrm_async"]


def test_the_top_level_is_tidy() -> None:
    """It has only the usual files and folders."""
    expected = {
        "pyproject.toml", "README.md", "nrm_async", "tests", "benchmarks", "CHANGELOG.md",
        "LICENSE",
    }  # fmt: skip
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    top = {Path(name).parts[0] for name in tracked}
    assert {name for name in top if not name.startswith(".")} <= expected


def test_the_package_is_typed() -> None:
    """Type checkers find the marker."""
    assert (PACKAGE / "py.typed").exists()


def test_ci_runs_the_readmes_own_test_line() -> None:
    """CI runs the same line that the README shows."""
    (line,) = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line.startswith("python3 -m venv")
    ]
    assert line in (ROOT / "README.md").read_text().splitlines()


def test_the_guide_names_every_room() -> None:
    """``nrm_async/README.md`` names every module and folder directly under the package."""
    guide = (PACKAGE / "README.md").read_text()
    rooms = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert {"batch/", "client.py"} <= rooms
    assert not {room for room in rooms if f"`{room}`" not in guide}
