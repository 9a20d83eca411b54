"""`moldau quota`: how much users, clients and addresses may use.

The quotas of any Kafka cluster (KIP-546), over the protocol itself: librdkafka has no call for them. Names are short
here and Kafka's in what is printed for programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.channel import require_no_error
from moldau.cli.connection import Connection
from moldau.cli.outcome import UsageError
from moldau.cli.output import Output
from moldau.client.protocol.questions import ALTER_CLIENT_QUOTAS, DESCRIBE_CLIENT_QUOTAS

KEYS: Final = {
    "produce": "producer_byte_rate",
    "fetch": "consumer_byte_rate",
    "request_percent": "request_percentage",
    "mutations": "controller_mutation_rate",
    "connections": "connection_creation_rate",
}
SIDES: Final = {"user": "user", "client_id": "client-id", "ip": "ip"}
EXACT: Final = 0
DEFAULT: Final = 1
COLUMNS: Final = ("user", "client_id", "ip", "quota", "value")
FOR_ALL: Final = "(default)"

_Flag = Annotated[bool, Parameter(negative=(), group="For whom")]
_Name = Annotated[str | None, Parameter(group="For whom")]


@Parameter(name="*")
@dataclass(frozen=True)
class For:
    """For whom a quota is."""

    user: _Name = None
    """A user; without authentication everybody is ANONYMOUS."""
    client_id: _Name = None
    """A client id; together with a user the quota is for that client of that user."""
    ip: _Name = None
    """An address, or a host name that has one."""
    every_user: _Flag = False
    """Each user without a quota of their own."""
    every_client: _Flag = False
    """Each client id without a quota of its own."""
    every_ip: _Flag = False
    """Each address without a quota of its own."""

    def entity(self) -> dict[str, str | None]:
        """Kafka's types of entities with their names; None is the default.

        Raises:
            UsageError: one of them is named and meant for everybody at once.
        """
        named = {"user": self.user, "client_id": self.client_id, "ip": self.ip}
        every = {"user": self.every_user, "client_id": self.every_client, "ip": self.every_ip}
        for side, name in named.items():
            if name is not None and every[side]:
                raise UsageError(f"{SIDES[side]} {name!r} and everybody's default are two quotas", "set one at a time")
        chosen = [side for side in SIDES if named[side] is not None or every[side]]
        return {SIDES[side]: named[side] for side in chosen}

    def some_entity(self) -> dict[str, str | None]:
        """The same, and there must be one.

        Raises:
            UsageError: nobody is named.
        """
        entity = self.entity()
        if not entity:
            raise UsageError("for whom is not said", "--user, --client-id, --ip, or --every-user and its like")
        return entity


def list_quotas(*, whom: For = For(), connection: Connection = Connection(), output: Output = Output()) -> None:
    """List quotas: all of them, or those of the entities that are named."""
    entity = whom.entity()

    components = [
        {"entity_type": kind, "match_type": DEFAULT if name is None else EXACT, "match": name}
        for kind, name in entity.items()
    ]
    with connection.channel() as channel:
        answer = channel.ask(DESCRIBE_CLIENT_QUOTAS, lambda _: {"components": components, "strict": False})
    require_no_error(answer)
    records = [record for entry in answer.entries or () for record in _records(entry)]
    records.sort(key=lambda record: [str(record[column]) for column in COLUMNS])
    if output.for_eyes:
        records = [_for_eyes(record) for record in records]
    output.records(records, COLUMNS)


def _records(entry: Any) -> list[dict[str, Any]]:
    names = {part.entity_type: part.entity_name for part in entry.entity}
    sides = {side: names.get(kind) for side, kind in SIDES.items()}
    defaults = [side for side, kind in SIDES.items() if kind in names and names[kind] is None]
    return [
        {**sides, "defaults": defaults, "quota": str(value.key), "value": float(value.value)} for value in entry.values
    ]


def _for_eyes(record: Mapping[str, Any]) -> dict[str, Any]:
    value = record["value"]
    return {
        **record,
        **dict.fromkeys(record["defaults"], FOR_ALL),
        "value": int(value) if value.is_integer() else value,
    }


def set_quota(
    *,
    whom: For = For(),
    produce: int | None = None,
    fetch: int | None = None,
    request_percent: float | None = None,
    mutations: float | None = None,
    connections: int | None = None,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Set quotas of one entity; what is not named stays as it is.

    Parameters
    ----------
    produce
        Bytes per second that may be produced.
    fetch
        Bytes per second that may be fetched.
    request_percent
        Time that the broker works for the entity, in percent of one thread; 200 are two threads.
    mutations
        Partitions per second that may be created and deleted.
    connections
        New connections per second; for addresses only.
    """
    values = {
        "produce": produce,
        "fetch": fetch,
        "request_percent": request_percent,
        "mutations": mutations,
        "connections": connections,
    }
    changes: dict[str, float | None] = {KEYS[name]: value for name, value in values.items() if value is not None}
    if not changes:
        raise UsageError("no quota is named", "--produce, --fetch, --request-percent, --mutations or --connections")
    _alter(whom.some_entity(), changes, connection, output)


def unset_quota(
    *quotas: str, whom: For = For(), connection: Connection = Connection(), output: Output = Output()
) -> None:
    """Take quotas away from one entity.

    Parameters
    ----------
    quotas
        produce, fetch, request-percent, mutations, connections, or Kafka's own names.
    """
    if not quotas:
        raise UsageError("no quota is named", f"choose from {', '.join(name.replace('_', '-') for name in KEYS)}")
    keys = [KEYS.get(name.replace("-", "_"), name) for name in quotas]
    unknown = next((key for key in keys if key not in KEYS.values()), None)
    if unknown is not None:
        raise UsageError(f"there is no quota {unknown!r}", f"choose from {', '.join(KEYS).replace('_', '-')}")
    _alter(whom.some_entity(), dict.fromkeys(keys), connection, output)


def _alter(
    entity: Mapping[str, str | None], changes: Mapping[str, float | None], connection: Connection, output: Output
) -> None:
    entry = {
        "entity": [{"entity_type": kind, "entity_name": name} for kind, name in entity.items()],
        "ops": [{"key": key, "value": float(value or 0), "remove": value is None} for key, value in changes.items()],
    }
    with connection.channel() as channel:
        answer = channel.ask(ALTER_CLIENT_QUOTAS, lambda _: {"entries": [entry], "validate_only": False})
    for altered in answer.entries:
        require_no_error(altered)
    output.records(
        [{"quota": key, "result": "taken away" if value is None else "set"} for key, value in changes.items()],
        ("quota", "result"),
    )
