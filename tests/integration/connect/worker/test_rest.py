"""The REST interface beside what Kafka Connect 4.3.1 answered to the same requests."""

import json
from pathlib import Path

import httpx
from tests.integration.connect.worker.rest_scenario import play

from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.service import ConnectThread

GOLDEN = Path(__file__).parents[3] / "golden" / "connect" / "rest.json"
OUR_WORDS = ("Unexpected end-of-input", "Failed to find any class that implements Connector")
"""Where Kafka's message is a parser's, or lists what is on its plugin path, ours says it in its own words."""


def shape(entry):
    """An answer without what differs for a reason that the docs name."""
    body = entry["body"]
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        message = "OURS" if body["message"].startswith((*OUR_WORDS, "the body is not JSON")) else body["message"]
        body = {**body, "message": message}
    if entry["status"] in (404, 405) and entry["path"] in ("/nothing", "/connectors"):
        # Kafka's HTTP server answers for itself, in HTML.
        body = None
    return {**entry, "body": judged(body)}


def judged(body):
    """Converters of plugin lists are those that each has."""
    if isinstance(body, dict) and "configs" in body:
        # The settings of converters are theirs to test.
        body["configs"] = [each for each in body["configs"] if ".converter.converter." not in each["value"]["name"]]
        for each in body["configs"]:
            if each["value"]["name"].endswith(".converter"):
                each["value"]["recommended_values"] = "SOME"
    return body


def test_every_answer_is_the_one_that_kafka_connect_gives(connect_broker, tmp_path):
    settings = WorkerSettings(
        {
            "bootstrap.servers": connect_broker.bootstrap_servers,
            "listeners": "http://127.0.0.1:0",
            "group.id": "golden",
            "config.storage.topic": "golden-configs",
            "offset.storage.topic": "golden-offsets",
            "status.storage.topic": "golden-status",
            "offset.flush.interval.ms": "200",
        }
    )
    expected = json.loads(GOLDEN.read_text())
    with ConnectThread(settings) as running, httpx.Client(base_url=running.url, timeout=90) as client:
        answers = [json.loads(json.dumps(each)) for each in play(client, tmp_path)]

    assert [(each["method"], each["path"], each["status"]) for each in answers] == [
        (each["method"], each["path"], each["status"]) for each in expected
    ]
    differing = [
        (ours["method"], ours["path"], shape(ours), shape(theirs))
        for ours, theirs in zip(answers, expected, strict=True)
        if shape(ours) != shape(theirs)
    ]
    assert differing == []
