"""`moldau generate`: files that other programs run Moldau by, on stdout."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from string import Template
from typing import Final

from moldau.cli.outcome import UsageError
from moldau.version import VERSION

SYSTEMD_UNIT: Final = Template("""\
# Moldau under systemd. Write it to /etc/systemd/system/moldau.service, then:
#   systemctl daemon-reload && systemctl enable --now moldau
# Settings go into /etc/moldau/environment, one a line: KAFKA_LOG_RETENTION_MS=604800000
[Unit]
Description=Moldau, event streaming that speaks Kafka
Documentation=https://kafka.apache.org/documentation/
After=network-online.target
Wants=network-online.target

[Service]
# It says READY=1 when clients may connect, and STOPPING=1 when it leaves.
Type=notify
NotifyAccess=main
ExecStart=$command
EnvironmentFile=-/etc/moldau/environment
DynamicUser=yes
StateDirectory=moldau
StateDirectoryMode=0750
# Directories elsewhere (log.dirs) have to be named here and belong to the user: ReadWritePaths=/srv/kafka
Restart=on-failure
RestartSec=2
# SIGTERM stops it in order: running requests end, logs are closed and marked as clean.
KillSignal=SIGTERM
TimeoutStartSec=10min
TimeoutStopSec=2min
# A partition takes up to three files, a client one.
LimitNOFILE=1048576

# Nothing of the system but its own directory and the network.
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0027

[Install]
WantedBy=multi-user.target
""")

DOCKERFILE: Final = Template("""\
# A node of Moldau. Build:  docker build -t moldau .
# Run:  docker run -p 9092:9092 -v moldau-data:/data -e KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092 moldau
# Every broker setting may be given as KAFKA_… and the id of the cluster as CLUSTER_ID, as in Apache Kafka's image.
FROM python:3.13-slim AS build
RUN python -m venv /opt/moldau && /opt/moldau/bin/pip install --no-cache-dir "moldau==$version"

FROM python:3.13-slim
RUN groupadd --system --gid 1000 moldau \\
    && useradd --system --uid 1000 --gid moldau --home-dir /data --no-create-home moldau \\
    && install --directory --owner moldau --group moldau --mode 0750 /data
COPY --from=build /opt/moldau /opt/moldau
ENV PATH=/opt/moldau/bin:$$PATH \\
    PYTHONUNBUFFERED=1 \\
    KAFKA_LISTENERS=PLAINTEXT://0.0.0.0:9092 \\
    MOLDAU_BOOTSTRAP_SERVERS=127.0.0.1:9092
USER moldau
VOLUME /data
EXPOSE 9092
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["moldau", "cluster", "describe"]
CMD ["moldau", "up", "--data", "/data"]
""")


def generate_systemd_unit(*, file: Path | None = None, executable: Path | None = None) -> None:
    """Print a systemd unit: Type=notify, restarted when it fails, locked into its own directory.

    Parameters
    ----------
    file
        Run `moldau broker FILE`, whose directories must be formatted; without it `moldau up` in /var/lib/moldau.
    executable
        Where `moldau` is; the one that prints this without it.
    """
    program = executable or _this_program()
    if not program.is_absolute():
        raise UsageError(f"{program} is not an absolute path", "systemd takes no other")
    if file is not None and not file.is_absolute():
        raise UsageError(f"{file} is not an absolute path", "systemd starts a service in the root directory")
    command = f"{program} up --data /var/lib/moldau" if file is None else f"{program} broker {file}"
    print(SYSTEMD_UNIT.substitute(command=command), end="")


def generate_dockerfile() -> None:
    """Print a Dockerfile: slim, not root, with a health check, and settings from KAFKA_… variables."""
    print(DOCKERFILE.substitute(version=VERSION), end="")


def _this_program() -> Path:
    beside = Path(sys.executable).with_name("moldau")
    found = beside if beside.exists() else shutil.which("moldau")
    return Path(found or "/usr/local/bin/moldau")
