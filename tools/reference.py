"""Write docs/reference from the code: the API table, the settings, the command line.

    python tools/reference.py            # write the pages
    python tools/reference.py --check    # say which are out of date, change nothing

Everything stands in one place in the code; these pages are read from there, and a test holds them against it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from moldau import config
from moldau.client.reference import settings_table
from moldau.config import ConfigKey, Dynamic, Support
from moldau.observe.connect import ALL as CONNECT
from moldau.observe.families import ALL
from moldau.observe.streams import ALL as STREAMS

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
GENERATED = "<!-- Written by `make docs` from the code. Change it there. -->\n"


BROKER_PAGE = """\
# Broker settings

{generated}
All {kafkas} documented settings of Apache Kafka 4.3 and {ours} of our own. They are written in `server.properties`,
as `KAFKA_…` variables or with `--override key=value`; flags win over the environment, the environment over the
file. *Changes* says when Kafka lets them change: at the start, for one running broker, or for all at once.

## Settings that count

{honoured}
## Accepted without effect

A file that sets them is read; they are named in one warning at the start.

{no_effect}
## Not applicable

They belong to parts of Kafka that are not here. Accepted and named as well, except for `authorizer.class.name` and
listeners with TLS or SASL, which are refused: ignoring those would open a door.

{not_applicable}"""

COMMAND_LINE_NOTES = """\
Data goes to stdout, everything else to stderr. `-o json` prints one document, `-o jsonl` one record per line; names
and types in them stay, 64-bit numbers are written whole. Colour and progress bars appear at a terminal only;
`NO_COLOR` and `MOLDAU_NO_PROGRESS` turn them off.
"""


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {
        "api-table.md": api_table(),
        "broker-configs.md": broker_configs(),
        "topic-configs.md": topic_configs(),
        "cli.md": command_line(),
        "client-settings.md": client_settings(),
        "metrics.md": metrics(),
        "registry-api.md": registry_api(),
        "connect-transforms.md": connect_transforms(),
        "connect-worker.md": connect_worker(),
    }


WORKER_PAGE = """\
# Settings of a Connect worker

{generated}
The names are Kafka Connect's; they stand in the properties file of `moldau connect run worker.properties`, or behind
`-X`. What they are for stands in [the guide](../guides/connect.md).

{table}

What stands below {prefixes} is handed on: to the converters, to the clients of connectors (and of the worker itself),
to the config providers, to the topics that the worker creates. `security.*`, `sasl.*`, `ssl.*` hold for all clients.
Settings of Kafka's workers that are not here are accepted and have no effect; one that looks like a typing mistake is
named in a warning, with the nearest one. `rest.extension.classes` is refused: extensions are classes of Java, and
without the one for passwords anybody would be let in. A proxy in front takes its place, and `access.control.*` and
`response.http.headers.config` are said there as well; `listeners` says by which address it reaches the worker. There is
no address of its own for `/admin/loggers`: `admin.listeners` is named in a warning.
"""


def connect_worker() -> str:
    """What a worker can be told."""
    from moldau.connect.runtime.settings import HANDED_ON, SETTINGS

    rows = (
        (f"`{each.name}`", each.kind.__name__, "" if each.default is None else f"`{each.default}`", each.doc)
        for each in SETTINGS
    )
    prefixes = [f"`{each}`" for each in HANDED_ON]
    return WORKER_PAGE.format(
        generated=GENERATED,
        table=table(("setting", "type", "default", "what it is"), rows),
        prefixes=", ".join(prefixes[:-1]) + f" and {prefixes[-1]}",
    )


def connect_transforms() -> str:
    from moldau.connect.plugins import TABLE, Kind, load

    sections = []
    for plugin in TABLE:
        if plugin.kind not in {Kind.TRANSFORMATION, Kind.PREDICATE} or plugin.name.endswith("$Key"):
            continue
        made = load(plugin.place)()
        names = f"`{plugin.name}`" + (f" and `{plugin.name[:-5]}Key`" if plugin.name.endswith("$Value") else "")
        rows = [
            (
                f"`{key.name}`",
                key.type.value,
                "must be given" if key.required else f"`{key.info()['default_value']}`",
                key.doc,
            )
            for key in made.config().keys.values()
        ]
        settings = table(("setting", "type", "default", "what it says"), rows) if rows else "No settings.\n"
        sections.append(f"## {plugin.simple_name.removesuffix('$Value')}\n\n{names}\n\n{settings}")
    return (
        f"# Transforms and predicates of Connect\n\n{GENERATED}\n"
        "What they are for stands in [the guide](../guides/transforms.md).\n\n" + "\n".join(sections)
    )


def registry_api() -> str:
    from moldau.registry.rest.routes import ROUTES

    rows = [
        (f"`{route.method} {route.path}`", ", ".join(f"`{name}`" for name in route.query), route.summary)
        for route in ROUTES
    ]
    return (
        f"# The schema registry's REST interface\n\n{GENERATED}\n"
        "Paths, parameters, bodies and error codes are those of Confluent's registry 8.x. Every path may stand behind\n"
        "`/contexts/{context}`: subjects are in that context then. What is said about schemas in general is in\n"
        "[the guide](../guides/schemas.md).\n\n" + table(("request", "parameters", "what it does"), rows)
    )


def client_settings() -> str:
    return (
        f"# Java's settings in the Python clients\n\n{GENERATED}\n"
        "What `moldau.Producer`, `Consumer` and `AdminClient` do with the settings of Kafka's Java clients. What has\n"
        "the same name and meaning in librdkafka is passed on and does not stand here.\n\n"
        f"{settings_table()}\n"
    )


def metrics() -> str:
    return (
        f"# Metrics\n\n{GENERATED}\n"
        "What `/metrics` shows, in Prometheus' text format; [monitoring](../guides/monitoring.md) says how to use it.\n"
        "\n"
        + table(("name", "kind", "what it says"), [(f"`{each.name}`", each.kind.value, each.doc) for each in ALL])
        + "\n## Of a streams application\n\nWhat an instance shows on its `application.server`.\n\n"
        + table(("name", "kind", "what it says"), [(f"`{each.name}`", each.kind.value, each.doc) for each in STREAMS])
        + "\n## Of a Connect worker\n\nWhat a worker shows on the port of its REST interface, `/metrics`, beside what "
        "begins with `process_`.\n\n"
        + table(("name", "kind", "what it says"), [(f"`{each.name}`", each.kind.value, each.doc) for each in CONNECT])
    )


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *[list(map(cell, row)) for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(content: object) -> str:
    return str(content).replace("|", "\\|").replace("\n", " ")


def api_table() -> str:
    from moldau.server.handlers import load

    rows = []
    for route in load().values():
        api = route.api
        lowest, highest = api.versions
        advertised = lowest if api.advertised_lowest is None else api.advertised_lowest
        where = "Rust" if api.hot and route.handle is None else "Rust, and Python" if api.hot else "Python"
        rows.append((api.key, api.name, f"{lowest} to {highest}", f"{advertised} to {highest}", where, api.note))
    return (
        f"# APIs\n\n{GENERATED}\n"
        "What a node answers, by API key. A request in another version is refused as Kafka refuses it; ApiVersions\n"
        "tells clients the versions of the fourth column.\n\n"
        + table(("key", "API", "versions", "advertised", "answered in", "note"), rows)
    )


def broker_configs() -> str:
    keys = [key for key in config.BROKER_KEYS.values() if not key.internal]
    by_support = {support: [key for key in keys if key.support is support] for support in Support}
    ours = len([key for key in keys if key.name.startswith("moldau.")])
    honoured = table(
        ("setting", "type", "default", "valid", "changes", "what it does"),
        [
            (f"`{key.name}`", type_of(key), default_of(key), valid_of(key), changes_of(key), key.doc)
            for key in by_support[Support.HONOURED]
        ],
    )
    return BROKER_PAGE.format(
        generated=GENERATED,
        kafkas=len(keys) - ours,
        ours=ours,
        honoured=honoured,
        no_effect=without_effect(by_support[Support.NO_EFFECT]),
        not_applicable=without_effect(by_support[Support.NOT_APPLICABLE]),
    )


def without_effect(keys: list[ConfigKey]) -> str:
    return table(
        ("setting", "default", "what it does in Kafka", "why it does not count here"),
        [(f"`{key.name}`", default_of(key), key.doc, key.reason) for key in keys],
    )


def topic_configs() -> str:
    def rows(keys: Iterable[ConfigKey]) -> list[tuple[str, ...]]:
        return [
            (
                f"`{key.name}`",
                type_of(key),
                default_of(key),
                valid_of(key),
                ", ".join(f"`{synonym.name}`" for synonym in key.synonyms),
                key.doc + (f" *Without effect: {key.reason}.*" if key.reason else ""),
            )
            for key in keys
            if not key.internal
        ]

    head = ("setting", "type", "default", "valid", "the broker's", "what it does")
    plain = ("setting", "type", "default", "valid", "what it does")
    group_rows = [row[:4] + row[5:] for row in rows(config.GROUP_KEYS.values())]
    return (
        f"# Topic and group settings\n\n{GENERATED}\n"
        "Set with `moldau topic create -c key=value` and `moldau topic config -s key=value`, or with any Kafka tool.\n"
        "A topic that says nothing takes the first of the broker's settings that is set.\n\n"
        + table(head, rows(config.TOPIC_KEYS.values()))
        + "\n## Groups\n\n"
        + table(plain, group_rows)
    )


def type_of(key: ConfigKey) -> str:
    return key.type.name.lower()


def default_of(key: ConfigKey) -> str:
    if key.required:
        return "*required*"
    written = config.render(key.default)
    return f"`{written}`" if written else "*none*" if written is None else "*empty*"


def valid_of(key: ConfigKey) -> str:
    return key.valid_values


def changes_of(key: ConfigKey) -> str:
    return {Dynamic.READ_ONLY: "at the start", Dynamic.PER_BROKER: "one broker", Dynamic.CLUSTER_WIDE: "all"}[
        key.dynamic
    ]


def command_line() -> str:
    from moldau.cli import EXIT_CODES, build, import_every_command

    app = build()
    import_every_command(app)
    text = str(app.generate_docs(output_format="markdown"))
    notes = f"{GENERATED}\n{COMMAND_LINE_NOTES}\n{EXIT_CODES}\n"
    title, rest = text.split("\n", 1)
    return f"{title}\n\n{notes}{rest.rstrip()}\n"


def main() -> int:
    """Write, or check, every page."""
    checking = "--check" in sys.argv[1:]
    stale = []
    for name, content in pages().items():
        file = FOLDER / name
        if file.exists() and file.read_text() == content:
            continue
        stale.append(name)
        if not checking:
            FOLDER.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    if stale:
        print(("out of date: " if checking else "written: ") + ", ".join(stale))
    return 1 if checking and stale else 0


if __name__ == "__main__":
    sys.exit(main())
