"""The command lines of Kafka's own tools, turned into ours: `moldau kafka-topics --bootstrap-server … --list`.

Each tool is a table: which of its flags says what to do, and what its other flags are called here. Nothing is done in
this module; the words that come out are run like any others, so both spellings have one meaning. `moldau habits DIR`
puts executables of the old names into a folder.

Source: the option tables of Kafka 4.3's tools.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from moldau.cli.outcome import UsageError
from moldau.cli.output import Output, say

Words = list[str]
Said = dict[str, list[str]]
"""What was said, by flag: its values, in order."""

ADDRESS: Final = {"--bootstrap-server": "-b", "--bootstrap-servers": "-b", "--broker-list": "-b"}
PROPERTY_FILES: Final = ("--command-config", "--consumer.config", "--producer.config")
PROPERTIES: Final = ("--consumer-property", "--producer-property", "--command-property")


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool of Kafka."""

    translate: Callable[[Said], list[Words]]
    """The commands of ours that do what was said."""
    values: tuple[str, ...] = ()
    """Flags with a value."""
    switches: tuple[str, ...] = ()
    """Flags without one."""
    ours: str = ""
    """The command that people may learn instead."""
    as_it_is: bool = field(default=False)
    """Its flags are ours already."""


def _has(said: Said, *flags: str) -> bool:
    return any(flag in said for flag in flags)


def _one(said: Said, flag: str) -> str:
    if flag not in said:
        raise UsageError(f"{flag} is missing")
    return said[flag][-1]


def _each(said: Said, flag: str, ours: str) -> Words:
    return [word for value in said.get(flag, []) for word in (ours, value)]


def _topics(said: Said) -> list[Words]:
    names = said.get("--topic", [])
    if _has(said, "--create"):
        given = _each(said, "--partitions", "-p") + _each(said, "--replication-factor", "-r")
        given += _each(said, "--config", "-c") + (["--if-absent"] if _has(said, "--if-not-exists") else [])
        return [["topic", "create", _one(said, "--topic"), *given]]
    if _has(said, "--delete"):
        return [["topic", "delete", _one(said, "--topic"), "--yes"]]
    if _has(said, "--alter"):
        return [["topic", "grow", _one(said, "--topic"), _one(said, "--partitions")]]
    if _has(said, "--describe") and names:
        return [["topic", "describe", names[-1]]]
    if _has(said, "--describe"):
        return [["topic", "list", "--internal"]]
    if _has(said, "--list"):
        return [["topic", "list", "-o", "name", *([] if _has(said, "--exclude-internal") else ["--internal"])]]
    raise UsageError("say what to do", "--list, --describe, --create, --alter or --delete")


def _reader_properties(said: Said) -> dict[str, str]:
    texts = said.get("--property", []) + said.get("--reader-property", []) + said.get("--formatter-property", [])
    return {name: value for name, _sign, value in (text.partition("=") for text in texts)}


def _console_consumer(said: Said) -> list[Words]:
    words = ["consume", _one(said, "--topic")]
    group = said.get("--group")
    if group:
        words += ["-g", group[-1], "-f", "earliest" if _has(said, "--from-beginning") else "latest"]
    else:
        words += ["-f", said.get("--offset", ["earliest" if _has(said, "--from-beginning") else "latest"])[-1]]
    words += _each(said, "--partition", "-p") + _each(said, "--max-messages", "-c")
    if _has(said, "--timeout-ms"):
        words += ["--idle-timeout", str(int(_one(said, "--timeout-ms")) / 1000)]
    # Kafka's console consumer reads what is undecided, too, unless it is told otherwise.
    words += ["-X", f"isolation.level={said.get('--isolation-level', ['read_uncommitted'])[-1]}"]
    properties = _reader_properties(said)
    separator = properties.get("key.separator", "\\t")
    pieces = (("timestamp", "CreateTime:%T"), ("partition", "Partition:%p"), ("offset", "Offset:%o"), ("headers", "%h"))
    shown = [text for name, text in pieces if properties.get(f"print.{name}") == "true"]
    shown += ["%k"] if properties.get("print.key") == "true" else []
    shown += [] if properties.get("print.value") == "false" else ["%v"]
    return [[*words, "-F", separator.join(shown) + "\\n", "--null", properties.get("null.literal", "null")]]


def _console_producer(said: Said) -> list[Words]:
    words = ["produce", _one(said, "--topic")]
    properties = _reader_properties(said)
    if properties.get("parse.key") == "true":
        words += ["-K", properties.get("key.separator", "\t")]
    if "null.marker" in properties:
        words += ["--null", properties["null.marker"]]
    words += _each(said, "--compression-codec", "-z")
    if _has(said, "--request-required-acks"):
        words += ["-X", f"acks={_one(said, '--request-required-acks')}", "-X", "enable.idempotence=false"]
    return [words]


def _consumer_groups(said: Said) -> list[Words]:
    if _has(said, "--list"):
        return [["group", "list", "-o", "name", "--internal"]]
    group = _one(said, "--group")
    if _has(said, "--describe"):
        return [["group", "describe", group]]
    topics = _each(said, "--topic", "-t")
    if _has(said, "--delete-offsets"):
        return [["group", "delete-offsets", group, *topics, "--yes"]]
    if _has(said, "--delete"):
        return [["group", "delete", group, "--yes"]]
    if not _has(said, "--reset-offsets"):
        raise UsageError("say what to do", "--list, --describe, --reset-offsets, --delete or --delete-offsets")
    execute = ["--execute"] if _has(said, "--execute") else []
    if _has(said, "--from-file"):
        return [["group", "seek", group, "--to-file", _one(said, "--from-file"), *topics, *execute]]
    return [["group", "seek", group, "--to", _place(said), *topics, *execute]]


def _place(said: Said) -> str:
    """Where `--reset-offsets` goes, as a place of ours."""
    if _has(said, "--shift-by"):
        return f"{int(_one(said, '--shift-by')):+d}"
    if _has(said, "--by-duration"):
        text = _one(said, "--by-duration")
        match = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text)
        if match is None or not any(match.groups()):
            raise UsageError(f"{text!r} is no duration", "PT1H30M is an hour and a half")
        return "@-" + "".join(f"{number}{unit}" for number, unit in zip(match.groups(), "dhms", strict=True) if number)
    for flag, place in (("--to-earliest", "earliest"), ("--to-latest", "latest"), ("--to-current", "+0")):
        if _has(said, flag):
            return place
    return _one(said, "--to-datetime") if _has(said, "--to-datetime") else _one(said, "--to-offset")


_ENTITIES: Final = {"topics": "topic", "brokers": "broker", "groups": "group"}


def _configs(said: Said) -> list[Words]:
    resource = [noun for noun in _ENTITIES.values() if f"--{noun}" in said]
    if resource:
        what = [resource[0], _one(said, f"--{resource[0]}")]
    else:
        kind = _one(said, "--entity-type")
        if kind not in _ENTITIES:
            raise UsageError(f"{kind} have no settings here", ", ".join(_ENTITIES))
        what = [_ENTITIES[kind], "default" if _has(said, "--entity-default") else _one(said, "--entity-name")]
    if _has(said, "--describe"):
        return [["config", "show", *what, *(["--all"] if _has(said, "--all") else [])]]
    commands = []
    if _has(said, "--add-config"):
        commands.append(["config", "set", *what, *_split(_one(said, "--add-config"))])
    if _has(said, "--delete-config"):
        commands.append(["config", "unset", *what, *_split(_one(said, "--delete-config"))])
    if not commands:
        raise UsageError("say what to do", "--describe, or --alter with --add-config or --delete-config")
    return commands


def _split(text: str) -> Words:
    """`a=1,b=[x,y]` in its parts; brackets keep commas together and are not part of a value."""
    return [part.replace("[", "").replace("]", "") for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text)]


def _get_offsets(said: Said) -> list[Words]:
    names = {"-1": "latest", "-2": "earliest", "latest": "latest", "earliest": "earliest"}
    wanted = said.get("--time", ["-1"])[-1]
    topics = [f"{name}{_numbers(said)}" for name in _one(said, "--topic").split(",")]
    if wanted in ("-3", "max-timestamp"):
        return [["topic", "offsets", *topics]]
    return [["topic", "offsets", *topics, "--at", names.get(wanted, f"@{wanted}")]]


def _numbers(said: Said) -> str:
    return f":{_one(said, '--partitions')}" if _has(said, "--partitions") else ""


def _delete_records(said: Said) -> list[Words]:
    file = Path(_one(said, "--offset-json-file"))
    try:
        wanted = [
            (str(one["topic"]), int(one["partition"]), int(one["offset"]))
            for one in json.loads(file.read_text())["partitions"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} does not name topic, partition and offset: {error}") from error
    return [
        ["topic", "trim", f"{topic}:{partition}", "--before", "latest" if offset == -1 else str(offset), "--execute"]
        for topic, partition, offset in wanted
    ]


def _dump_log(said: Said) -> list[Words]:
    words = ["log", "dump", *_one(said, "--files").split(",")]
    if _has(said, "--print-data-log", "--cluster-metadata-decoder", "--offsets-decoder"):
        words.append("--records")
    if _has(said, "--cluster-metadata-decoder"):
        words += ["--decode", "metadata"]
    return [[*words, *(["--decode", "offsets"] if _has(said, "--offsets-decoder") else [])]]


def _always(*words: str) -> Callable[[Said], list[Words]]:
    return lambda _said: [list(words)]


TOOLS: Final[Mapping[str, Tool]] = {
    "kafka-topics": Tool(
        _topics,
        ("--topic", "--partitions", "--replication-factor", "--config"),
        (
            "--list",
            "--describe",
            "--create",
            "--alter",
            "--delete",
            "--if-not-exists",
            "--if-exists",
            "--exclude-internal",
        ),
        "topic",
    ),
    "kafka-console-consumer": Tool(
        _console_consumer,
        (
            "--topic",
            "--group",
            "--partition",
            "--offset",
            "--max-messages",
            "--timeout-ms",
            "--isolation-level",
            "--property",
            "--formatter-property",
        ),
        ("--from-beginning",),
        "consume",
    ),
    "kafka-console-producer": Tool(
        _console_producer,
        ("--topic", "--property", "--reader-property", "--compression-codec", "--request-required-acks"),
        (),
        "produce",
    ),
    "kafka-consumer-groups": Tool(
        _consumer_groups,
        ("--group", "--topic", "--to-offset", "--shift-by", "--by-duration", "--to-datetime", "--from-file"),
        (
            "--list",
            "--describe",
            "--delete",
            "--delete-offsets",
            "--reset-offsets",
            "--execute",
            "--dry-run",
            "--to-earliest",
            "--to-latest",
            "--to-current",
            "--all-topics",
            "--members",
            "--offsets",
            "--verbose",
        ),
        "group",
    ),
    "kafka-configs": Tool(
        _configs,
        ("--entity-type", "--entity-name", "--add-config", "--delete-config", "--topic", "--broker", "--group"),
        ("--describe", "--alter", "--all", "--entity-default"),
        "config",
    ),
    "kafka-get-offsets": Tool(_get_offsets, ("--topic", "--time", "--partitions"), (), "topic offsets"),
    "kafka-delete-records": Tool(_delete_records, ("--offset-json-file",), (), "topic trim"),
    "kafka-dump-log": Tool(
        _dump_log,
        ("--files",),
        ("--print-data-log", "--deep-iteration", "--cluster-metadata-decoder", "--offsets-decoder"),
        "log dump",
    ),
    "kafka-broker-api-versions": Tool(_always("api-versions"), ours="api-versions"),
    "kafka-metadata-quorum": Tool(
        _always("cluster", "quorum"), (), ("describe", "--status", "--replication"), "cluster quorum"
    ),
    "kafka-features": Tool(_always("cluster", "features"), (), ("describe",), "cluster features"),
    "kafka-cluster": Tool(_always("cluster", "describe"), (), ("cluster-id",), "cluster describe"),
    "kafka-storage": Tool(_always(), ours="storage", as_it_is=True),
    "kafka-server-start": Tool(_always(), ours="broker", as_it_is=True),
}
"""Kafka's tools by their name."""


def name_of(program: str) -> str | None:
    """The tool that a path or a word names: `bin/kafka-topics.sh` is `kafka-topics`."""
    name = Path(program).name.removesuffix(".sh")
    return name if name in TOOLS else None


def translate(name: str, arguments: Sequence[str]) -> list[Words]:
    """The commands of ours behind a command line of Kafka.

    Raises:
        UsageError: a flag is unknown or misses its value, or nothing was asked for.
    """
    tool = TOOLS[name]
    if tool.as_it_is or set(arguments) & {"--help", "-h"}:
        return [[*tool.ours.split(), *arguments]]
    said, common = _read(name, tool, list(arguments))
    return [[*words, *common] for words in tool.translate(said)]


def _read(name: str, tool: Tool, arguments: Words) -> tuple[Said, Words]:
    said: Said = {}
    common: Words = []
    words = iter(word for argument in arguments for word in _halves(argument))
    for word in words:
        if word in tool.switches:
            said.setdefault(word, [])
        elif word in (*tool.values, *ADDRESS, *PROPERTY_FILES, *PROPERTIES):
            value = next(words, None)
            if value is None:
                raise UsageError(f"{word} needs a value")
            if word in ADDRESS:
                common += [ADDRESS[word], value]
            elif word in PROPERTIES:
                common += ["-X", value]
            elif word in PROPERTY_FILES:
                common += [part for setting in _settings_in(Path(value)) for part in ("-X", setting)]
            else:
                said.setdefault(word, []).append(value)
        else:
            raise UsageError(f"{name}: {word} is not known here", f"`moldau {tool.ours} --help` says what there is")
    return said, common


def _halves(argument: str) -> Words:
    """`--topic=x` is `--topic x`."""
    match = re.fullmatch(r"(--[a-z.\-]+)=(.*)", argument, re.DOTALL)
    return [match[1], match[2]] if match is not None else [argument]


def _settings_in(file: Path) -> Iterator[str]:
    from moldau.config.properties import PropertiesError, decode, parse_properties

    try:
        entries = parse_properties(decode(file.read_bytes()))
    except (OSError, PropertiesError) as error:
        raise UsageError(f"cannot read {file}: {error}") from error
    return (f"{entry.name}={entry.value}" for entry in entries)


def install(folder: Path | None = None, /, *, output: Output = Output()) -> None:
    """List the tools of Kafka that are understood, or put executables of their names into a folder.

    Parameters
    ----------
    folder
        Where to put them, for example ~/.local/bin. What is there already is left alone.
    """
    records = [{"tool": name, "command": f"moldau {tool.ours}"} for name, tool in TOOLS.items()]
    if folder is None:
        output.records(records, ("tool", "command"))
        return
    import sys

    folder.mkdir(parents=True, exist_ok=True)
    for name in TOOLS:
        file = folder / name
        if file.exists():
            say(f"{file} is there already")
            continue
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m moldau {name} "$@"\n')
        file.chmod(0o755)
    output.records(records, ("tool", "command"))
