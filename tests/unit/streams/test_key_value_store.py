"""The order of key-value stores in memory, however their keys come and go between ranges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moldau.streams import Serdes
from moldau.streams.context import TaskContext
from moldau.streams.state.key_value import MemoryKeyValueStore
from moldau.streams.topology.nodes import StoreSpec

KEYS = st.text("ab", max_size=4)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "delete", "restore", "prefix", "range", "back"]), KEYS), max_size=60)


def store() -> MemoryKeyValueStore:
    spec = StoreSpec("rows", "key_value", Serdes.String(), Serdes.String())
    return MemoryKeyValueStore(spec, TaskContext("app", "0_0", lambda: 0))


@given(STEPS)
def test_ranges_and_prefixes_are_those_of_a_sorted_dict(steps: list[tuple[str, str]]):
    kept, model = store(), dict[str, str]()
    for number, (step, key) in enumerate(steps):
        if step == "delete":
            kept.delete(key)
            model.pop(key, None)
        elif step in {"put", "restore"}:
            model[key] = str(number)
            kept.put(key, str(number)) if step == "put" else kept.restore(key.encode(), str(number).encode(), 0)
        elif step == "prefix":
            assert list(kept.prefix_scan(key.encode())) == sorted(
                pair for pair in model.items() if pair[0].startswith(key)
            )
        elif step == "range":
            assert list(kept.range(key)) == sorted(pair for pair in model.items() if pair[0] >= key)
        else:
            expected = sorted((pair for pair in model.items() if pair[0] <= key), reverse=True)
            assert list(kept.reverse_range(None, key)) == expected


def test_a_walk_goes_on_while_entries_come_and_go():
    kept = store()
    for key in "abcd":
        kept.put(key, key)
    walk = kept.range()
    assert next(walk) == ("a", "a")
    kept.delete("b")
    kept.put("aa", "new")
    assert list(kept.prefix_scan(b"a")) == [("a", "a"), ("aa", "new")]
    assert list(walk) == [("c", "c"), ("d", "d")]
