"""The house keeps its order: ranks, the public names, a light import, a tidy top level."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nrm_async

PACKAGE = Path(nrm_async.__file__).parent
ROOT = Path(__file__).parent.parent

# A module imports only from lower ranks. A folder is one room, at the rank of its name.
RANKS = {
    "_version": 0,
    "_values": 0,
    "_secrets": 0,
    "errors": 0,
    "_tables": 1,
    "config": 1,
    "actions": 1,
    "models": 1,
    "results": 2,
    "_flight": 2,
    "inventory": 3,
    "events": 3,
    "stats": 3,
    "_inputs": 3,
    "_wire": 3,
    "_retry": 3,
    "otel": 4,
    "_limits": 4,
    "_transport": 4,
    "files": 4,
    "_session": 5,
    "listing": 5,
    "batch": 5,
    "_confirm": 5,
    "_calls": 6,
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


def imports_of(path: Path) -> set[str]:
    """Every module that is imported anywhere in the file, in functions and for types too."""
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
    """Ranks rule out circles, and imports hidden in functions do not get around them."""
    room = room_of(path)
    assert room in RANKS, f"{room} has no rank"
    for other in rooms_imported(path) - {room}:
        assert RANKS[other] < RANKS[room], f"{room} imports {other}"


def test_the_sandbox_is_a_witness_of_its_own() -> None:
    """It shares no code with the client that it is held against; it only reads its files."""
    for path in MODULES:
        if room_of(path) == "sandbox":
            readers = {"files", "models"} if path.name == "loaded.py" else set()
            assert rooms_imported(path) <= {"sandbox"} | readers, path


def test_only_the_transport_touches_the_http_client() -> None:
    """aiohttp's client has one user; its server is the sandbox's."""
    users = {room_of(path) for path in MODULES if _imports(path, "aiohttp")}
    assert users <= {"_transport", "sandbox"}


def test_only_the_wire_room_decodes() -> None:
    """msgspec and cattrs have one user; the sandbox is a witness of its own."""
    users = {room_of(path) for path in MODULES if _imports(path, "msgspec", "cattrs")}
    assert users <= {"_wire", "sandbox"}


def test_only_files_and_tables_know_arrow() -> None:
    """The one heavy extra is asked for where it is needed, and no import brings it along."""
    users = {room_of(path) for path in MODULES if "pyarrow" in path.read_text()}
    assert users <= {"_tables", "files", "inventory", "results"}
    assert not any(_imports(path, "pyarrow") for path in MODULES)


def _imports(path: Path, *packages: str) -> bool:
    return any(name.split(".")[0] in packages for name in imports_of(path))


def test_the_face_defines_nothing() -> None:
    """``__init__`` holds a docstring, imports and ``__all__``."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    kinds = [type(node) for node in tree.body]
    assert set(kinds) == {ast.Expr, ast.ImportFrom, ast.Assign}
    assert kinds.count(ast.Assign) == 1


def test_all_names_what_the_face_offers() -> None:
    """Every public name is in ``__all__``, sorted by case, and is what it says."""
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


def test_the_pinned_names_are_there() -> None:
    """Names that other people's code relies on stay."""
    assert set(PINNED.split()) <= set(nrm_async.__all__)


def test_the_import_is_light() -> None:
    """Neither the command, nor the sandbox, nor files, nor an adapter, nor a test tool comes."""
    code = "import sys, nrm_async; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "click", "rich", "pytest", "hypothesis", "aioresponses", "looptime", "trustme",
        "aiohttp.web", "nrm_async.sandbox", "nrm_async.cli", "nrm_async.testing", "uvloop",
        "opentelemetry", "nrm_async.otel", "pyarrow", "nrm_async.files", "cattrs",
        "nrm_async._tables", "nrm_async.results.record",
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
    """The number of methods that are compiled anew at every import stays where it is."""
    generated = subprocess.run(
        [sys.executable, "-c", GENERATED], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert "nrm_async.models Ani __init__" in generated, "nothing was counted"
    assert len(generated) <= MOST_GENERATED, "\n".join(sorted(generated))


def test_the_import_loads_nothing_but_the_package_and_its_libraries() -> None:
    """No other module, of the standard library either, is loaded for this package's own use."""
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
    """Nothing but what a newcomer expects."""
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
    """What CI runs is what a newcomer is told to run."""
    (line,) = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line.startswith("python3 -m venv")
    ]
    assert line in (ROOT / "README.md").read_text().splitlines()
