"""Groups with members of the consumer protocol, and groups that move between the protocols, in a run of chance.

`python -m tests.simulation.test_consumer_groups_in_chaos 0 5000` tries that many seeds; one that breaks an invariant
is kept as a file in `regressions/`, with a word on what it found.
"""

import json
import sys
import traceback
from pathlib import Path

import pytest
from tests.simulation.consumer_world import run

REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("consumer-groups-*.json"))
SEEDS = range(25)


@pytest.mark.parametrize("seed", SEEDS)
def test_invariants_hold_in_a_run_of_chance(seed):
    print(f"seed {seed}")
    run(seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("hundred", range(20))
def test_invariants_hold_in_thousands_of_runs(hundred):
    assert not main(hundred * 100, hundred * 100 + 100)


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_invariants_hold_where_they_once_did_not(path):
    found = json.loads(path.read_text())
    print(f"seed {found['seed']}: {found['found']}")
    run(found["seed"])


def main(first, last):
    broken = []
    for seed in range(first, last):
        try:
            run(seed)
        except Exception:  # noqa: BLE001 -- whatever breaks a run is what is looked for
            broken.append(seed)
            if len(broken) <= 3:
                print(f"seed {seed}")
                traceback.print_exc()
    print(f"{last - first} runs, {len(broken)} broken: {broken[:20]}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
