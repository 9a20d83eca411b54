"""A JDBC URL of PostgreSQL as parameters of libpq."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from moldau.connect.config_def import invalid

NAME: Final = "connection.url"
PREFIX: Final = "jdbc:postgresql:"
PARAMETERS: Final = {
    "user": "user",
    "password": "password",
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "connectTimeout": "connect_timeout",
    "loginTimeout": "connect_timeout",
    "ApplicationName": "application_name",
    "targetServerType": "target_session_attrs",
}
TARGETS: Final = {"primary": "read-write", "master": "read-write", "any": "any", "secondary": "standby"}
# What tells Java's driver how to work, and nothing about the database.
OF_THE_DRIVER: Final = frozenset(
    {
        *("reWriteBatchedInserts", "prepareThreshold", "preparedStatementCacheQueries", "defaultRowFetchSize"),
        *(
            "stringtype",
            "tcpKeepAlive",
            "socketTimeout",
            "binaryTransfer",
            "assumeMinServerVersion",
            "loadBalanceHosts",
        ),
    }
)


def libpq_parameters(url: str) -> dict[str, str]:
    """What `connection.url` says. Raises `ConfigError` for another database, and for what is not understood."""
    if not url.startswith(PREFIX):
        raise invalid(NAME, url, "it begins with jdbc:postgresql://, the only database that this sink writes to")
    rest = url.removeprefix(PREFIX)
    parts = urlsplit(rest if rest.startswith("//") else f"///{rest.lstrip('/')}")
    hosts, ports = [], []
    for each in (parts.netloc or "localhost").split(","):
        host, colon, port = each.rpartition(":") if not each.endswith("]") else (each, "", "")
        hosts.append((host if colon else each).strip("[]"))
        ports.append(port if colon else "5432")
    found = {"host": ",".join(hosts), "port": ",".join(ports)}
    if parts.path.strip("/"):
        found["dbname"] = unquote(parts.path.strip("/"))
    options = ["-c timezone=UTC"]
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "currentSchema":
            options.append(f"-c search_path={value.replace(' ', chr(92) + ' ')}")
        elif name == "ssl":
            found.setdefault("sslmode", "verify-full" if value in {"", "true"} else "prefer")
        elif name == "targetServerType":
            found[PARAMETERS[name]] = TARGETS.get(value, value)
        elif name in PARAMETERS:
            found[PARAMETERS[name]] = value
        elif name not in OF_THE_DRIVER:
            known = ", ".join(sorted({"currentSchema", "ssl", *PARAMETERS}))
            raise invalid(NAME, url, f"its parameter {name!r} is not understood; there are {known}")
    return {"application_name": "moldau jdbc sink", **found, "options": " ".join(options)}
