"""The project speaks in standard terms: words that were once its own do not return."""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path
    for folder in ("nrm_async", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__)
)

# Identifiers, each with the standard word beside it. No public name is among them.
RETIRED = {
    "AniLocks": "KeyedLock",
    "Bars": "progress",
    "Brake": "StopCondition",
    "Climb": "CubicGrowth",
    "Complaints": "WarningHandler",
    "Course": "PageCursor",
    "Crew": "WorkerPool",
    "Draft": "atomic",
    "Flight": "CallContext",
    "Forks": "fork_count",
    "Founding": "Origin",
    "Governor": "AdaptiveLimiter",
    "LastKnown": "StateCache",
    "Leftover": "Unstarted",
    "Lifecycle": "Runtime",
    "Means": "ReadBack",
    "Merged": "MergedPasses",
    "Noticer": "DriftDetector",
    "Outbox": "ResultQueue",
    "Prepare": "ToAction",
    "Reading": "Pass",
    "Saying": "extras",
    "Seams": "OverlapGraph",
    "Shown": "TableOutput",
    "Sight": "Observation",
    "Spots": "FixedPages",
    "Tally": "Counters",
    "Telling": "Instrumentation",
    "Visits": "ApiHandler",
    "Wanted": "ListQuery",
    "barren": "empty_streak",
    "by_session": "session_path",
    "conclude": "make_result",
    "converse": "send",
    "crew": "workers",
    "deaf_until": "ignore_until",
    "flight": "context",
    "goes_on": "has_more",
    "governor": "limiter",
    "halted": "stop_error",
    "horizon": "last_page",
    "is_doubtful": "earlier_maybe_applied",
    "is_exposed": "maybe_sent",
    "is_patient": "is_bulk",
    "is_volley": "is_initial_burst",
    "lets_pass": "allows",
    "look_at": "observe",
    "outbox": "result_queue",
    "overview": "summary",
    "pass_through": "wait_until_closed",
    "preparer": "action_factory",
    "rehearsal": "dry_run",
    "repeatable": "safe",
    "scrub": "redact",
    "seams": "overlap",
    "settable": "mutable_twin",
    "verdict": "decision",
    "verdicts": "action_reply",
    "way_on": "resume_command",
    "withhold": "shrink",
    "wrong_place": "wrong_base_url",
}

# Turns of phrase of that language, in docstrings and comments.
PHRASES = re.compile(
    r"\b(?:is|are|was|be|been|being) told of\b|\bcomes? to nothing\b"
    r"|\bwhat (?:became|has become|has come) of\b|\ba stranger'?s?\b|\bgoes by it\b|\bborne\b",
    re.IGNORECASE,
)


@cache
def _read(path: Path) -> tuple[set[str], list[tuple[int, str]]]:
    """Return the identifiers of a file, and its comments and docstrings with their lines."""
    source = path.read_text()
    names, prose = set(), []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            names.add(token.string.lstrip("_"))
        elif token.type == tokenize.COMMENT:
            prose.append((token.start[0], token.string))
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    prose += [
        (getattr(node, "lineno", 1), ast.get_docstring(node, clean=False) or "")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, documented)
    ]
    return names, prose


def test_no_retired_identifier_returns() -> None:
    """Classes, functions, parameters and attributes keep their standard names."""
    found = [
        f"{path}: {word}, now {RETIRED[word]}"
        for path in FILES
        for word in _read(path)[0] & RETIRED.keys()
    ]
    assert not found, "\n".join(found)


def test_no_retired_phrase_returns() -> None:
    """Docstrings and comments are in plain English."""
    found = [
        f"{path}:{line}: {match[0]}"
        for path in FILES
        for line, text in _read(path)[1]
        for match in PHRASES.finditer(text)
    ]
    assert not found, "\n".join(found)


def test_no_module_has_a_retired_name() -> None:
    """Modules and folders are named in standard terms too."""
    assert not {path.stem.lstrip("_") for path in FILES} & RETIRED.keys()
