"""The client of Quix Streams."""

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum
from quixstreams.models.serializers.avro import AvroDeserializer
from quixstreams.models.serializers.schema_registry import SchemaRegistryClientConfig

COMMIT_INTERVAL_S = {"at_least_once": 1.0, "exactly_once_v2": 0.1}


def stateless(app: Application, named: Callable[[str], str]) -> None:
    orders = app.dataframe(app.topic(named("orders"), value_deserializer="json", key_deserializer="str"))
    orders = orders.filter(lambda order: order["status"] == "COMPLETED")
    orders = orders.apply(lambda order: {"amount": order["amount"] * 1.2, "text": order["order_id"]})
    orders.to_topic(app.topic(named("out"), value_serializer="json", key_serializer="str"))


def expressions(app: Application, named: Callable[[str], str]) -> None:
    orders = app.dataframe(app.topic(named("orders"), value_deserializer="json", key_deserializer="str"))
    orders = orders[orders["status"] == "COMPLETED"]
    orders["amount"] = orders["amount"] * 1.2
    orders["text"] = orders["order_id"]
    orders = orders[["amount", "text"]]
    orders.to_topic(app.topic(named("out"), value_serializer="json", key_serializer="str"))


def hourly_revenue(app: Application, named: Callable[[str], str], value_deserializer: Any = "json") -> None:
    orders = app.dataframe(app.topic(named("orders"), value_deserializer=value_deserializer, key_deserializer="str"))
    orders = orders.filter(lambda order: order["status"] == "COMPLETED")
    revenue = orders.tumbling_window(timedelta(hours=1)).agg(value=Sum("amount")).current()
    revenue.to_topic(app.topic(named("out"), value_serializer="json", key_serializer="str"))


def hourly_avro(app: Application, named: Callable[[str], str]) -> None:
    registry = SchemaRegistryClientConfig(url=os.environ["BENCH_REGISTRY_URL"])
    hourly_revenue(app, named, AvroDeserializer(schema_registry_client_config=registry))


def enriched(app: Application, named: Callable[[str], str]) -> None:
    orders = app.dataframe(app.topic(named("orders"), value_deserializer="json", key_deserializer="str"))
    customers = app.dataframe(app.topic(named("customers"), value_deserializer="json", key_deserializer="str"))
    joined = orders.join_asof(
        customers,
        how="inner",
        on_merge=lambda order, customer: {"amount": order["amount"], "text": customer["name"]},
        grace_ms=timedelta(days=365),
    )
    joined.to_topic(app.topic(named("out"), value_serializer="json", key_serializer="str"))


def paid(app: Application, named: Callable[[str], str]) -> None:
    orders = app.dataframe(app.topic(named("orders"), value_deserializer="json", key_deserializer="str"))
    payments = app.dataframe(app.topic(named("payments"), value_deserializer="json", key_deserializer="str"))
    joined = orders.join_interval(
        payments,
        how="inner",
        on_merge=lambda order, payment: {"amount": payment["paid"], "text": order["order_id"]},
        grace_ms=timedelta(minutes=10),
        backward_ms=timedelta(seconds=1),
        forward_ms=timedelta(seconds=1),
    )
    joined.to_topic(app.topic(named("out"), value_serializer="json", key_serializer="str"))


def sessions(app: Application, named: Callable[[str], str]) -> None:
    orders = app.dataframe(app.topic(named("orders"), value_deserializer="json", key_deserializer="str"))
    counted = orders.session_window(timedelta(hours=1)).agg(value=Count()).current()
    counted.to_topic(app.topic(named("out"), value_serializer="json", key_serializer="str"))


ROWS = {
    "stateless": stateless,
    "expressions": expressions,
    "hourly-revenue": hourly_revenue,
    "hourly-expressions": hourly_revenue,
    "hourly-avro": hourly_avro,
    "many-keys": hourly_revenue,
    "enriched": enriched,
    "paid": paid,
    "sessions": sessions,
}


def main() -> None:
    bootstrap, row, guarantee, suffix, folder = sys.argv[1:6]
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"quix-{suffix}",
        auto_offset_reset="earliest",
        commit_interval=COMMIT_INTERVAL_S[guarantee],
        processing_guarantee="exactly-once" if guarantee == "exactly_once_v2" else "at-least-once",
        state_dir=folder,
        loglevel="WARNING",
    )
    ROWS[row](app, lambda topic: f"{topic}-{suffix}")
    app.run()


if __name__ == "__main__":
    main()
