"""Light dataclasses are frozen to those who write, and as good as frozen ones to those who compare and hash."""

from dataclasses import dataclass, fields, replace

import pytest

from moldau.control.light import light_dataclass


@light_dataclass(frozen=True, slots=True)
class Light:
    name: str
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    numbers: tuple[int, ...] = ()


def test_it_compares_hashes_and_shows_itself_as_a_frozen_one():
    one, other = Light("a", (1,)), Light("a", (1,))
    assert (one, hash(one)) == (other, hash(other))
    assert one != Light("b", (1,))
    assert hash(one) == hash(Frozen("a", (1,)))
    assert repr(one) == "Light(name='a', numbers=(1,))"
    assert replace(one, name="b") == Light("b", (1,))
    assert [field.name for field in fields(Light)] == [field.name for field in fields(Frozen)]
    match one:
        case Light(name, numbers):
            assert (name, numbers) == ("a", (1,))


def test_it_has_no_more_than_its_fields():
    with pytest.raises(AttributeError):
        Light("a").nickname = "b"
