"""Files for Grafana and Prometheus, as their programs read them."""

from __future__ import annotations

import yaml
from tests.cli.conftest import moldau


def test_the_dashboard_is_one_json_document():
    ended = moldau("generate", "grafana-dashboard")
    assert ended.code == 0
    assert ended.json["title"] == "Moldau"
    assert len(ended.json["panels"]) >= 12


def test_prometheus_is_told_where_the_nodes_are():
    config = yaml.safe_load(moldau("generate", "prometheus-config").out)
    assert config["scrape_configs"][0]["static_configs"] == [{"targets": ["localhost:9644"]}]
    words = ("one:9644", "[::1]:9644", "--job", "streams", "--every", "1m")
    config = yaml.safe_load(moldau("generate", "prometheus-config", *words).out)
    assert config == {
        "scrape_configs": [
            {
                "job_name": "streams",
                "scrape_interval": "1m",
                "static_configs": [{"targets": ["one:9644", "[::1]:9644"]}],
            }
        ]
    }


def test_what_prometheus_would_refuse_is_refused_here():
    assert moldau("generate", "prometheus-config", "http://one:9644/metrics").code == 2
    assert moldau("generate", "prometheus-config", "one").code == 2
    assert moldau("generate", "prometheus-config", "--every", "often").code == 2
