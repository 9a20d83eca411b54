"""`python -m tests.fault.workloads [WORKLOAD SEED FAULT...]`: one round again, or a marathon.

Without arguments it goes on for `MOLDAU_TEST_FAULTS_DURATION_S` seconds (300) from `MOLDAU_TEST_FAULTS_SEED` or a new
seed. Folders of findings stay where they are said to be. Status 1 when there is a finding.
"""

import os
import random
import sys
import tempfile
from pathlib import Path

from tests.fault.workloads.marathon import ROUND_S, marathon
from tests.fault.workloads.stage import staged

folder = Path(tempfile.mkdtemp(prefix="moldau-faults-"))
if len(sys.argv) > 2:
    workload, seed, *faults = sys.argv[1:]
    with staged(folder / "run", workload, int(seed), faults) as run:
        verdict = run.judged(faults, ROUND_S)
    print(f"{run.history_file}\n{verdict.report()}")
    sys.exit(1 if verdict.anomalies else 0)
duration_s = float(os.environ.get("MOLDAU_TEST_FAULTS_DURATION_S") or "300")
chosen = int(os.environ.get("MOLDAU_TEST_FAULTS_SEED") or random.SystemRandom().randrange(1 << 30))
sys.exit(1 if marathon(folder, duration_s, chosen) else 0)
