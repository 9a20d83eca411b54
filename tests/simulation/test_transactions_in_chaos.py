"""Producers lose answers, pause and fence each other, the node crashes between two records: all or nothing holds."""

import pytest
from tests.simulation.seeds import broken, long_run, main
from tests.simulation.transaction_world import run


@pytest.mark.parametrize("seed", range(40))
def test_invariants_hold_in_a_run_of_chance(seed):
    print(f"seed {seed}")
    run(seed)


@pytest.mark.timeout(1800)
@long_run
def test_invariants_hold_in_thousands_of_runs(seeds):
    assert not broken(run, seeds)


if __name__ == "__main__":
    main(run)
