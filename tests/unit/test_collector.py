"""How often Python's garbage collector looks, in blocks that may overlap."""

from __future__ import annotations

import gc

import pytest

from moldau.collector import COLLECT_AFTER, looking_seldom

OWN = (900, 7, 7)


@pytest.fixture(autouse=True)
def thresholds():
    """Those of a program of its own; afterwards the ones that were there."""
    before = gc.get_threshold()
    gc.set_threshold(*OWN)
    yield
    gc.set_threshold(*before)


def test_it_looks_seldom_until_the_last_of_overlapping_blocks_has_ended():
    first, second = looking_seldom(), looking_seldom()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == COLLECT_AFTER
    second.__exit__(None, None, None)
    assert gc.get_threshold() == OWN
    with looking_seldom():
        assert gc.get_threshold()[0] == COLLECT_AFTER
    assert gc.get_threshold() == OWN


@pytest.mark.parametrize("higher", [(COLLECT_AFTER, 1, 1), (0, 5, 5)])
def test_a_collector_that_looks_as_seldom_is_left_as_it_is(higher):
    gc.set_threshold(*higher)
    with looking_seldom(), looking_seldom():
        assert gc.get_threshold() == higher
    assert gc.get_threshold() == higher


def test_thresholds_that_a_block_sets_where_nothing_was_changed_stay():
    gc.disable()
    try:
        with looking_seldom():
            gc.set_threshold(800, 3, 3)
        assert gc.get_threshold() == (800, 3, 3)
    finally:
        gc.enable()
