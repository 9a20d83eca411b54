"""An application as a process of its own, so that it can be killed: counts per key, or columns, under exactly-once.

python -m tests.integration.streams.counting_process BOOTSTRAP SOURCE SINK APPLICATION_ID STATE_DIR \
    in-memory|on-disk|columns [MORE SETTINGS AS JSON]
"""

import json
import sys
import threading

from tests.integration.streams.topologies import count_per_key, expressions

from moldau.streams.runtime import KafkaStreams


def main(
    bootstrap: str, source: str, sink: str, application_id: str, state_dir: str, where: str, more: str = "{}"
) -> None:
    settings = {
        "application_id": application_id,
        "bootstrap_servers": bootstrap,
        "processing_guarantee": "exactly_once_v2",
        "commit_interval_ms": 20,
        "state_dir": state_dir,
        "session_timeout_ms": 6000,
        "heartbeat_interval_ms": 500,
        **json.loads(more),
    }
    counting = count_per_key(source, sink, in_memory=where == "in-memory")
    with KafkaStreams(expressions(source, sink) if where == "columns" else counting, **settings) as app:
        app.wait_until_running()
        print("running", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
