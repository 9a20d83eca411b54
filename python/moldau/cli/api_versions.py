"""`moldau api-versions`: what a broker says it can do, asked with bare frames.

No client library stands between, so this works on a broker that no library can talk to, which is when one wants to
know.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.cli.connection import Connection
from moldau.cli.output import Output

COLUMNS: Final = ("key", "name", "lowest", "highest")


def list_api_versions(*, connection: Connection = Connection(), output: Output = Output()) -> None:
    """List the APIs that a broker serves, with their versions."""
    with connection.channel() as channel:
        answer = channel.served
    output.records([_record(row) for row in answer.api_keys], COLUMNS)


def _record(row: Any) -> dict[str, Any]:
    from kio.schema.index import api_key_map

    name = api_key_map.get(row.api_key)
    return {
        "key": int(row.api_key),
        "name": "".join(map(str.capitalize, name.split("_"))) if name is not None else None,
        "lowest": int(row.min_version),
        "highest": int(row.max_version),
    }
