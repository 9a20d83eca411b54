"""`python -m tests.fault.history FILE...`: judge histories that a run left behind; status 1 for an anomaly."""

import sys
from pathlib import Path

from tests.fault.history.operations import Note, read_history
from tests.fault.history.verdict import judge

if len(sys.argv) < 2:
    sys.exit("usage: python -m tests.fault.history FILE...")
found = False
for name in sys.argv[1:]:
    try:
        history = read_history(Path(name))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    verdict = judge(history)
    found = found or bool(verdict.anomalies)
    print(f"{name}:")
    for note in history:
        if isinstance(note, Note):
            print(f"{(note.at - history[0].at) / 1e9:9.3f} s  {note.process}: {note.text}")
    print(verdict.report())
sys.exit(1 if found else 0)
