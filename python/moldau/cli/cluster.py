"""`moldau cluster`: who the cluster is."""

from __future__ import annotations

from moldau.cli.connection import Connection
from moldau.cli.output import Output


def describe_cluster(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """Show the cluster: its id, its controller, its brokers."""
    admin = connection.admin()
    description = connection.answer(admin.describe_cluster(request_timeout=connection.timeout_s))
    controller = description.controller.id if description.controller is not None else None
    brokers = [
        {
            "broker": node.id,
            "host": node.host,
            "port": node.port,
            "rack": node.rack or None,
            "controller": node.id == controller,
        }
        for node in sorted(description.nodes, key=lambda node: int(node.id))
    ]
    record = {"cluster_id": description.cluster_id, "controller": controller, "brokers": brokers}
    if not output.for_eyes:
        output.record(record, ())
        return
    output.record(record, ("cluster_id", "controller"))
    print()
    output.records(brokers, ("broker", "host", "port", "rack", "controller"))
