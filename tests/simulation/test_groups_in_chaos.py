"""Members join, leave, stall, restart and lose answers, the node crashes and its disk refuses: the invariants hold.

Every seed is one run of some virtual minutes.
"""

import pytest
from tests.simulation.group_world import run
from tests.simulation.seeds import broken, long_run, main, once_broken


@pytest.mark.parametrize("seed", range(25))
def test_invariants_hold_in_a_run_of_chance(seed):
    print(f"seed {seed}")
    run(seed)


@pytest.mark.timeout(1800)
@long_run
def test_invariants_hold_in_thousands_of_runs(seeds):
    assert not broken(run, seeds)


@pytest.mark.parametrize("seed", once_broken("groups"))
def test_invariants_hold_where_they_once_did_not(seed):
    print(f"seed {seed}")
    run(seed)


if __name__ == "__main__":
    main(run)
