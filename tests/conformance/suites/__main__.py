"""Run one suite and say how each test ended; exit code 1 when something must not be.

The broker is a node of its own unless `--bootstrap` or `MOLDAU_TEST_BOOTSTRAP` names one, as for the conformance tests.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.broker_under_test import broker_under_test
from tests.conformance.suites import confluent_kafka_python, franz_go, librdkafka
from tests.conformance.suites.outcomes import Outcome, Verdict, allowances, objections, summary

SETTINGS = {
    "num.partitions": "4",
    "group.initial.rebalance.delay.ms": "3000",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
"""librdkafka's tests expect topics that come into being by themselves to have four partitions, and members who join at
the same time to be in one generation: that is Kafka's own default, and an embedded node does not wait for it. Several
tests make access rules, of topics and groups of their own."""


def main() -> int:
    arguments = _arguments()
    with _broker(arguments.bootstrap) as bootstrap:
        outcomes = _run(arguments, bootstrap)
    for outcome in outcomes:
        if outcome.verdict is not Verdict.PASSED:
            print(f"{outcome.verdict:9} {outcome.test} ({outcome.seconds:.1f} s): {outcome.said}")
    suite = librdkafka.suite_of(arguments.protocol) if arguments.suite == librdkafka.NAME else arguments.suite
    complaints = objections(outcomes, allowances(suite))
    print(f"\n{arguments.suite}: {summary(outcomes)}")
    for complaint in complaints:
        print(f"objection: {complaint}")
    return 1 if complaints else 0


def _run(arguments: argparse.Namespace, bootstrap: str) -> list[Outcome]:
    match arguments.suite:
        case franz_go.NAME:
            return franz_go.run(bootstrap, tests=arguments.tests, records=arguments.records)
        case librdkafka.NAME:
            return librdkafka.run(bootstrap, tests=arguments.tests, protocol=arguments.protocol, on_end=_tell)
        case _:
            if arguments.checkout is None:
                sys.exit("error: its tests are in no package\nhint: clone the repository and name it with --checkout")
            return confluent_kafka_python.run(bootstrap, checkout=arguments.checkout, tests=arguments.tests)


def _tell(outcome: Outcome) -> None:
    print(f"{outcome.verdict:9} {outcome.test} {outcome.seconds:.1f} s", flush=True)


@contextmanager
def _broker(bootstrap: str | None) -> Iterator[str]:
    if bootstrap is not None:
        yield bootstrap
        return
    with tempfile.TemporaryDirectory() as folder, broker_under_test(Path(folder), SETTINGS) as started:
        yield started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.suites", description=__doc__)
    parser.add_argument("suite", choices=(franz_go.NAME, librdkafka.NAME, confluent_kafka_python.NAME))
    parser.add_argument("tests", nargs="*", help="only these")
    parser.add_argument("--bootstrap", help="HOST:PORT of a running broker")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic", help="librdkafka's groups")
    parser.add_argument("--records", type=int, default=franz_go.RECORDS, help="franz-go: records of each pipeline")
    parser.add_argument("--checkout", type=Path, help="clone of confluent-kafka-python")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    sys.exit(main())
