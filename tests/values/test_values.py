"""Shared equality, hash and ``repr`` behave like those that attrs generates."""

import copy
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Pause
from nrm_async._values import Value
from nrm_async.config import ApiKey, Settings
from nrm_async.models import Ani

NAN = float("nan")


@attrs.frozen(eq=False, repr=False)
class Shared(Value):
    first: object
    _second: object = 0
    uncompared: object = attrs.field(default=None, eq=False)
    unhashed: object = attrs.field(default=None, hash=False)
    hidden: object = attrs.field(default=None, repr=False)


@attrs.frozen
class Generated:
    first: object
    _second: object = 0
    uncompared: object = attrs.field(default=None, eq=False)
    unhashed: object = attrs.field(default=None, hash=False)
    hidden: object = attrs.field(default=None, repr=False)


cells = st.sampled_from([0, 0.0, 1, None, "text", NAN, (1, "text")])
rows = st.lists(cells, min_size=5, max_size=5)


@given(rows, rows)
def test_shared_methods_equal_generated_ones(one: list[Any], other: list[Any]) -> None:
    """For all values, NaN too, equality and ``repr`` are those of attrs."""
    shared, generated = Shared(*one), Generated(*one)
    assert (shared == Shared(*other)) is (generated == Generated(*other))
    assert (shared != Shared(*other)) is (generated != Generated(*other))
    assert repr(shared).removeprefix("Shared") == repr(generated).removeprefix("Generated")


@given(rows, rows)
def test_equal_values_have_equal_hashes(one: list[Any], other: list[Any]) -> None:
    """Equal values hash alike, and fields that are not compared do not count."""
    first, second = Shared(*one), Shared(*other)
    if first == second:
        assert hash(first) == hash(second)
    assert hash(first) == hash(attrs.evolve(first, uncompared="x", unhashed=[], hidden=one[4]))


def test_other_classes_are_unequal() -> None:
    """A class with the same fields, a subclass and a tuple are unequal."""

    class Derived(Shared):
        __slots__ = ()

    for other in (Generated(1, 2), Derived(1, 2), (1, 2), None):
        assert Shared(1, 2) != other
    assert Derived(1, 2) == Derived(1, 2)


def test_values_have_no_dict() -> None:
    """There is no ``__dict__`` beside the slots, and values pickle."""
    value = Ani(1, "2345678901")
    assert isinstance(value, Value)
    assert not hasattr(value, "__dict__")
    assert pickle.loads(pickle.dumps(value)) == value


def test_pickle_copy_and_match() -> None:
    """Pickle, copy and pattern matching work with the shared methods."""
    pause = Pause("2345678901", note="x")
    for copied in (pickle.loads(pickle.dumps(pause)), copy.deepcopy(pause), copy.copy(pause)):
        assert (copied, hash(copied)) == (pause, hash(pause))
    match pause:
        case Pause(ani, note="x"):
            assert ani == "2345678901"
        case _:
            raise AssertionError("it does not match")


def test_repr_function_of_a_field() -> None:
    """A field with a ``repr`` function is shown by it."""

    @attrs.frozen(eq=False, repr=False)
    class Secret(Value):
        key: str = attrs.field(repr=lambda _: "***")

    assert repr(Secret("k")) == "Secret(key=***)"


def test_eq_key_is_refused() -> None:
    """A field that is compared by a key raises, because the shared equality ignores keys."""

    @attrs.frozen(eq=False, repr=False)
    class Folded(Value):
        text: str = attrs.field(eq=str.lower)

    with pytest.raises(TypeError, match="compared by a key"):
        Folded("a") == Folded("A")  # noqa: B015 - the comparison itself is refused


def test_repr_of_a_cycle() -> None:
    """A cycle ends in dots, as with attrs."""
    inner: list[object] = []
    value = Shared(inner)
    inner.append(value)
    assert "first=[...]" in repr(value)


def test_repr_of_an_unfinished_value() -> None:
    """A value whose ``__init__`` failed can be shown in a traceback."""
    assert "first=NOTHING" in repr(object.__new__(Shared))


def test_repr_of_a_local_class() -> None:
    """A local class is shown by its short name, as with attrs."""

    @attrs.frozen(eq=False, repr=False)
    class Local(Value):
        x: int

    assert repr(Local(1)) == "Local(x=1)"


def test_settings_hide_the_key() -> None:
    """The ``repr`` of settings shows a placeholder instead of the key."""
    key = ApiKey.take("secret-key")
    assert isinstance(key, ApiKey)
    given = {field.name: None for field in attrs.fields(Settings)} | {"api_key": key}
    settings = Settings(**given)  # type: ignore[arg-type]
    assert "api_key=ApiKey('***')" in repr(settings)
    assert "secret" not in repr(settings)
