"""The table in ``README.md`` and the tests of its rows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent.parent
TABLE = Path(__file__).with_name("README.md")


def rows_of_the_table() -> list[int]:
    return [int(row) for row in re.findall(r"^\| (\d+) \|", TABLE.read_text(), re.MULTILINE)]


def rows_with_tests() -> Iterator[int]:
    """Yield the argument of every ``pytest.mark.fault`` of a test function."""
    for path in TESTS.rglob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        if "mark.fault(" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_"):
                markers = map(ast.unparse, node.decorator_list)
                rows = [re.fullmatch(r"pytest\.mark\.fault\((\d+)\)", marker) for marker in markers]
                yield from (int(row[1]) for row in rows if row)


def test_every_row_has_a_test() -> None:
    """Rows are in the order of their numbers, and exactly those rows have tests."""
    rows = rows_of_the_table()
    assert rows == sorted(set(rows))
    assert rows[:43] == list(range(1, 44))
    assert set(rows_with_tests()) == set(rows)
