"""Producers lose answers, pause and fence each other, the node crashes between any two records: all or nothing holds.

`python -m tests.simulation.test_transactions_in_chaos 0 5000` tries that many seeds.
"""

import sys
import traceback

import pytest
from tests.simulation.transaction_world import run

SEEDS = range(40)


@pytest.mark.parametrize("seed", SEEDS)
def test_invariants_hold_in_a_run_of_chance(seed):
    print(f"seed {seed}")
    run(seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("hundred", range(20))
def test_invariants_hold_in_thousands_of_runs(hundred):
    assert not main(hundred * 100, hundred * 100 + 100)


def main(first, last):
    broken = []
    for seed in range(first, last):
        try:
            run(seed)
        except Exception:  # noqa: BLE001 -- whatever breaks a run is what is looked for
            broken.append(seed)
            if len(broken) <= 2:
                print(f"seed {seed}")
                traceback.print_exc()
    print(f"{last - first} runs, {len(broken)} broken: {broken[:20]}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
