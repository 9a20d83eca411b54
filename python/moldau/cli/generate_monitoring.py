"""`moldau generate grafana-dashboard` and `prometheus-config`: files for those who watch, on stdout."""

from __future__ import annotations

import json
import re
from typing import Annotated, Final

from cyclopts import Parameter

from moldau.cli.outcome import UsageError
from moldau.cli.output import as_yaml

DEFAULT_TARGET: Final = "localhost:9644"
_TARGET: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}")


def generate_grafana_dashboard() -> None:
    """Print a dashboard for Grafana: import it, or put it into a folder that Grafana provisions from."""
    from moldau.observe.dashboard import dashboard

    print(json.dumps(dashboard(), indent=2, ensure_ascii=False))


def generate_prometheus_config(
    *targets: str,
    job: str = "moldau",
    every: Annotated[str, Parameter(name="--every")] = "15s",
) -> None:
    """Print a prometheus.yml that scrapes nodes.

    Parameters
    ----------
    targets
        Where moldau.http.listener of each node is, as host:port; localhost:9644 without any.
    job
        What Prometheus calls them.
    every
        How often it asks: 15s, 1m.
    """
    for target in targets:
        if not _TARGET.fullmatch(target):
            raise UsageError(f"{target!r} is no host:port", "moldau.http.listener of the node says the port")
    if not re.fullmatch(r"[0-9]+(ms|s|m|h)", every):
        raise UsageError(f"--every {every}: that is no duration of Prometheus", "write 15s or 1m")
    scrape = {
        "job_name": job,
        "scrape_interval": every,
        "static_configs": [{"targets": list(targets) or [DEFAULT_TARGET]}],
    }
    print(as_yaml({"scrape_configs": [scrape]}), end="")
