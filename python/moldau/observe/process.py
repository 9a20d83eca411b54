"""What the system knows about this process, from /proc. Where there is none (macOS), fewer numbers."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc/self")
START_TIME_FIELD: Final = 19
"""Fields of /proc/self/stat behind the name in parentheses, counted from 0 (proc_pid_stat(5))."""
VIRTUAL_BYTES_FIELD: Final = 20
RESIDENT_PAGES_FIELD: Final = 21


def read() -> dict[str, float]:
    """Numbers by the names of `families.PROCESS`."""
    times = os.times()
    numbers: dict[str, float] = {
        "cpu_seconds": times.user + times.system,
        "open_files_max": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
    try:
        # The name may hold spaces and parentheses: what comes after the last one is numbers.
        fields = (PROC / "stat").read_text().rpartition(")")[2].split()
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
        numbers["open_files"] = sum(1 for _ in (PROC / "fd").iterdir())
    except OSError:
        return numbers
    started_s = int(fields[START_TIME_FIELD]) / os.sysconf("SC_CLK_TCK")
    numbers["start_time"] = round(time.time() - uptime_s + started_s, 2)
    numbers["virtual_bytes"] = int(fields[VIRTUAL_BYTES_FIELD])
    numbers["resident_bytes"] = int(fields[RESIDENT_PAGES_FIELD]) * os.sysconf("SC_PAGE_SIZE")
    return numbers
