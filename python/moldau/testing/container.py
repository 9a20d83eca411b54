"""`KafkaContainer` without a container: for tests that were written with testcontainers.

One line changes, the import; `with KafkaContainer() as kafka: kafka.get_bootstrap_server()` stays. What tells Docker
how to run it (the image, the port inside, a name, what to wait for) is accepted and has no meaning here. What only a
container could do (networks, volumes, commands inside) is no method: an error that comes at once is better than a test
that waits for a host that nobody can resolve.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Self

from moldau.config.environment import CLUSTER_ID, settings_in
from moldau.server.embedded import Broker

PLAINTEXT: Final = "PLAINTEXT"
PORT_INSIDE: Final = 9093
PLACES: Final = (
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "inter.broker.listener.name",
    "controller.listener.names",
    "controller.quorum.voters",
    "process.roles",
    "log.dir",
    "log.dirs",
)
"""Settings that say where things are inside of a container: here the broker says it."""
ONLY_DOCKER: Final = frozenset(
    {
        "copy_from_container",
        "copy_into_container",
        "create_file",
        "exec",
        "get_container_id",
        "get_docker_client",
        "get_logs",
        "get_wrapped_container",
        "with_command",
        "with_copy_into_container",
        "with_network",
        "with_network_aliases",
        "with_tmpfs_mount",
        "with_volume_mapping",
    }
)


class KafkaContainer(Broker):
    """A broker of its own for the time of a `with` block, with the methods that testcontainers gives it.

    `settings` are Kafka's broker settings with underscores for dots, as in `moldau.Broker`.
    """

    def __init__(
        self,
        image: str = "",
        port: int = PORT_INSIDE,
        wait_strategy_check_string: str = "",
        listener_name: str = PLAINTEXT,
        security_protocol: str = PLAINTEXT,
        **settings: Any,
    ) -> None:
        if security_protocol != PLAINTEXT:
            raise ValueError(f"security_protocol is {security_protocol!r}: there is only PLAINTEXT here")
        super().__init__(**settings)

    # Where it is

    def get_bootstrap_server(self) -> str:
        """`host:port` for any client. Raises RuntimeError before the start."""
        return self.bootstrap_servers

    def get_container_host_ip(self) -> str:
        """The host of `get_bootstrap_server()`."""
        return self.bootstrap_servers.rpartition(":")[0]

    def get_exposed_port(self, port: int = PORT_INSIDE) -> int:
        """The port of `get_bootstrap_server()`, whatever it would be inside."""
        return int(self.bootstrap_servers.rpartition(":")[2])

    # What Kafka hears of

    def with_env(self, key: str, value: object) -> Self:
        """`KAFKA_AUTO_CREATE_TOPICS_ENABLE=false` and the like: the setting of that name, before the start."""
        if key == CLUSTER_ID:
            self._cluster_id = str(value)
        self._given.update(
            {name: text for name, (_, text) in settings_in({key: str(value)}).items() if name not in PLACES}
        )
        return self

    def with_envs(self, **variables: str) -> Self:
        """Several of `with_env`."""
        for name, value in variables.items():
            self.with_env(name, value)
        return self

    def with_env_file(self, env_file: str | os.PathLike[str]) -> Self:
        """Those of a file, `NAME=value` on each line."""
        lines = (line.strip() for line in Path(env_file).read_text().splitlines())
        pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
        return self.with_envs(**{name.strip(): value.strip().strip("'\"") for name, _, value in pairs})

    def with_cluster_id(self, cluster_id: str) -> Self:
        """The id that the cluster is given."""
        return self.with_env(CLUSTER_ID, cluster_id)

    def with_bind_ports(self, container: int | str, host: int | None = None) -> Self:
        """Listen on the port `host` of 127.0.0.1; on a free one without it."""
        self._port = host or 0
        return self

    # What only Docker hears of

    def with_kraft(self) -> Self:
        """There is nothing but KRaft."""
        return self

    def with_exposed_ports(self, *ports: int | str) -> Self:
        """There is no inside."""
        return self

    def with_name(self, name: str) -> Self:
        """There is nothing to be named."""
        return self

    def with_kwargs(self, **kwargs: Any) -> Self:
        """There is no Docker to hand them to."""
        return self

    def waiting_for(self, strategy: object) -> Self:
        """A broker that has started is ready."""
        return self

    def maybe_emulate_amd64(self) -> Self:
        """It runs on what you have."""
        return self

    def stop(self, force: bool = True, delete_volume: bool = True) -> None:
        """Stop the broker and remove its data."""
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name in ONLY_DOCKER:
            raise AttributeError(
                f"KafkaContainer of moldau.testing has no {name}: there is no container, the broker runs in this "
                "process; keep the one of testcontainers for this test"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
