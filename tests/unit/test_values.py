"""Values that share their equality, hash and ``repr`` have those that attrs would generate."""

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
def test_a_shared_equality_is_the_generated_one(one: list[Any], other: list[Any]) -> None:
    """For all values, not-a-number too, what is equal and what is shown is what attrs says."""
    shared, generated = Shared(*one), Generated(*one)
    assert (shared == Shared(*other)) is (generated == Generated(*other))
    assert (shared != Shared(*other)) is (generated != Generated(*other))
    assert repr(shared).removeprefix("Shared") == repr(generated).removeprefix("Generated")


@given(rows, rows)
def test_what_is_equal_has_one_hash(one: list[Any], other: list[Any]) -> None:
    """A set keeps one of two equal values, and fields that do not count do not part them."""
    first, second = Shared(*one), Shared(*other)
    if first == second:
        assert hash(first) == hash(second)
    assert hash(first) == hash(attrs.evolve(first, uncompared="x", unhashed=[], hidden=one[4]))


def test_other_classes_are_never_equal() -> None:
    """Neither a class with the same fields, nor one that derives from it, nor a plain tuple."""

    class Derived(Shared):
        __slots__ = ()

    for other in (Generated(1, 2), Derived(1, 2), (1, 2), None):
        assert Shared(1, 2) != other
    assert Derived(1, 2) == Derived(1, 2)


def test_no_base_gives_a_way_around_being_frozen() -> None:
    """There is no dict beside the slots, and values come back from a pickle equal."""
    value = Ani(1, "2345678901")
    assert isinstance(value, Value)
    assert not hasattr(value, "__dict__")
    assert pickle.loads(pickle.dumps(value)) == value


def test_an_action_comes_back_from_a_pickle_and_matches_a_pattern() -> None:
    """What attrs makes of a class besides works with the shared methods too."""
    pause = Pause("2345678901", note="x")
    for copied in (pickle.loads(pickle.dumps(pause)), copy.deepcopy(pause), copy.copy(pause)):
        assert (copied, hash(copied)) == (pause, hash(pause))
    match pause:
        case Pause(ani, note="x"):
            assert ani == "2345678901"
        case _:
            raise AssertionError("it does not match")


def test_a_field_is_shown_by_its_own_function() -> None:
    """What it keeps back is not shown, as it is with attrs."""

    @attrs.frozen(eq=False, repr=False)
    class Secret(Value):
        key: str = attrs.field(repr=lambda _: "***")

    assert repr(Secret("k")) == "Secret(key=***)"


def test_a_field_that_is_compared_by_a_key_is_refused() -> None:
    """Its equality would not be what was asked for."""

    @attrs.frozen(eq=False, repr=False)
    class Folded(Value):
        text: str = attrs.field(eq=str.lower)

    with pytest.raises(TypeError, match="compared by a key"):
        Folded("a") == Folded("A")  # noqa: B015 - the comparison itself is refused


def test_a_value_in_itself_can_be_shown() -> None:
    """A cycle ends in dots, as it does with attrs."""
    inner: list[object] = []
    value = Shared(inner)
    inner.append(value)
    assert "first=[...]" in repr(value)


def test_a_value_that_is_half_made_can_be_shown() -> None:
    """A traceback may show one whose making was refused."""
    assert "first=NOTHING" in repr(object.__new__(Shared))


def test_a_class_in_a_function_is_shown_by_its_short_name() -> None:
    """As attrs does it: where it was defined is left out."""

    @attrs.frozen(eq=False, repr=False)
    class Local(Value):
        x: int

    assert repr(Local(1)) == "Local(x=1)"


def test_settings_show_no_key() -> None:
    """The shared ``repr`` shows a key's placeholder, as the generated one did."""
    key = ApiKey.take("secret-key")
    assert isinstance(key, ApiKey)
    given = {field.name: None for field in attrs.fields(Settings)} | {"api_key": key}
    settings = Settings(**given)  # type: ignore[arg-type]
    assert "api_key=ApiKey('***')" in repr(settings)
    assert "secret" not in repr(settings)
