"""Snapshots of the metadata of an embedded broker, taken and cleaned by hand."""

import asyncio


def folder(data):
    return data / "__cluster_metadata-0"


def in_the_node(broker, work):
    """What `work`, given the snapshots of the node, gives back on its event loop."""

    async def run():
        return await work(broker._node._snapshots)

    return asyncio.run_coroutine_threadsafe(run(), broker._loop).result(30)


def take(broker):
    in_the_node(broker, lambda snapshots: snapshots.take())


def clean(broker):
    broker._node._snapshots.clean()


def cut_before(data, offset):
    """What is left when housekeeping and a checkpoint have followed the removal of the log before a snapshot."""
    file = data / "log-start-offset-checkpoint"
    others = [line for line in file.read_text().splitlines()[2:] if not line.startswith("__cluster_metadata ")]
    lines = ["0", str(len(others) + 1), f"__cluster_metadata 0 {offset}", *others, ""]
    file.write_text("\n".join(lines))
