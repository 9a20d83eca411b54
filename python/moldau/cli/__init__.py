"""The command line: `moldau up`, `moldau topic list`, ….

One module per noun, registered by name and imported when it is used: `moldau topic list` loads no server, `moldau
--version` loads no client. Commands about a cluster are ordinary clients, so they work on any Kafka. A command returns
nothing and prints through `output`; when it cannot do what was asked it raises an `outcome`.
"""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from moldau.version import VERSION

if TYPE_CHECKING:
    from cyclopts import App

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no connection, 4 timed out, 5 partly done, "
    "6 over a threshold, 70 a bug, 130 interrupted."
)

NOUNS: Final = {
    "topic": (
        "See, create, change and delete topics.",
        {
            "list": "list_topics",
            "describe": "describe_topic",
            "create": "create_topics",
            "delete": "delete_topics",
            "grow": "grow_topic",
            "config": "configure_topic",
            "offsets": "moldau.cli.topic_offsets:show_offsets",
            "trim": "moldau.cli.topic_offsets:trim_topic",
        },
    ),
    "group": (
        "See consumer groups, move their offsets, delete them.",
        {
            "list": "list_groups",
            "describe": "describe_group",
            "delete": "delete_groups",
            "seek": "moldau.cli.group_offsets:seek_group",
            "delete-offsets": "moldau.cli.group_offsets:delete_offsets",
        },
    ),
    "config": (
        "Show, change, explain and check settings.",
        {
            "show": "show_config",
            "set": "set_config",
            "unset": "unset_config",
            "explain": "explain_config",
            "check": "moldau.cli.config_check:check_config",
        },
    ),
    "cluster": (
        "See the cluster: brokers, quorum, features.",
        {"describe": "describe_cluster", "quorum": "describe_quorum", "features": "list_features"},
    ),
    "log": ("Look into log files.", {"dump": "dump_log"}),
    "quota": (
        "See and set how much users, clients and addresses may use.",
        {"list": "list_quotas", "set": "set_quota", "unset": "unset_quota"},
    ),
    "acl": (
        "See and set who may do what.",
        {"list": "list_acls", "add": "add_acls", "remove": "remove_acls"},
    ),
    "txn": (
        "See transactions, and end those that hang.",
        {
            "list": "list_transactions",
            "describe": "describe_transaction",
            "abort": "abort_transaction",
            "find-hanging": "find_hanging",
        },
    ),
    "profile": (
        "Name the clusters you work with, and choose one.",
        {
            "list": "list_profiles",
            "show": "show_profile",
            "create": "create_profile",
            "use": "use_profile",
            "delete": "delete_profile",
        },
    ),
    "generate": (
        "Print files for those who run and watch nodes.",
        {
            "systemd-unit": "generate_systemd_unit",
            "dockerfile": "generate_dockerfile",
            "grafana-dashboard": "moldau.cli.generate_monitoring:generate_grafana_dashboard",
            "prometheus-config": "moldau.cli.generate_monitoring:generate_prometheus_config",
            "completion": "moldau.cli.completion:print_script",
        },
    ),
    "schema": (
        "See schemas, register them, and know what a change would break.",
        {
            "list": "list_schemas",
            "get": "get_schema",
            "register": "register_schema",
            "check": "check_schema",
            "diff": "diff_schemas",
            "delete": "delete_schema",
            "compat": "compatibility",
        },
    ),
    "connect": (
        "Run a Connect worker, and see and change the connectors of any.",
        {
            "run": "run_connect",
            "list": "list_connectors",
            "status": "show_status",
            "create": "create_connector",
            "config": "configure",
            "validate": "validate_config",
            "pause": "pause_connectors",
            "resume": "resume_connectors",
            "stop": "stop_connectors",
            "restart": "restart_connectors",
            "delete": "delete_connectors",
            "offsets": "show_offsets",
            "plugins": "list_plugins",
            "explain": "explain_plugin",
        },
    ),
    "streams": (
        "Run a topology, and see, measure and reset the applications that run one.",
        {
            "run": "run_streams",
            "describe": "describe_streams",
            "topology": "show_topology",
            "lag": "show_streams_lag",
            "reset": "moldau.cli.streams_reset:reset_streams",
        },
    ),
    "storage": (
        "Prepare the directories of a broker, as kafka-storage does.",
        {"format": "format_storage", "random-uuid": "random_uuid", "info": "show_storage"},
    ),
}
"""Commands of two words: the noun, its help, and the function behind each verb, in `moldau.cli.<noun>` unless it says
where."""

ALONE: Final = {"connect": "run"}
"""Nouns that stand for one of their verbs when none follows."""

VERBS: Final = {
    "up": "moldau.cli.serve:up",
    "broker": "moldau.cli.serve:broker",
    "registry": "moldau.cli.registry:run_registry",
    "produce": "moldau.cli.produce:produce",
    "consume": "moldau.cli.consume:consume",
    "lag": "moldau.cli.lag:show_lag",
    "plan": "moldau.cli.plan:plan",
    "api-versions": "moldau.cli.api_versions:list_api_versions",
    "doctor": "moldau.cli.doctor:diagnose",
    "completion": "moldau.cli.completion:print_script",
    "habits": "moldau.cli.habits:install",
}
"""Commands of one word."""

DEMOS: Final = {"shop": "moldau.cli.demo.shop:run_shop", "orders": "moldau.cli.demo:run_orders"}


def build(chosen: str | None = None) -> App:
    """The tree of commands, none of them imported; only the branch of the first word when that is a command."""
    from cyclopts import App, Parameter

    from moldau.cli.profiles import fill_in

    plain = Parameter(negative=())
    app = App(
        name="moldau",
        help="The whole event-streaming platform in one install.",
        help_epilogue=EXIT_CODES,
        help_format="plaintext",
        version=VERSION,
        default_parameter=plain,
        config=fill_in,
        result_action="return_value",
    )
    whole = chosen not in {*VERBS, *NOUNS}
    for verb, place in VERBS.items():
        if whole or verb == chosen:
            app.command(place, name=verb, **_below(verb))
    for noun, (text, verbs) in NOUNS.items():
        if not (whole or noun == chosen):
            continue
        group = App(name=noun, help=text, default_parameter=plain)
        for verb, function in verbs.items():
            place = function if ":" in function else f"moldau.cli.{noun}:{function}"
            group.command(place, name=verb, **_below(f"{noun} {verb}"))
        app.command(group)
    if whole:
        demo = App(name="demo", help="See it work.", default_parameter=plain)
        for name, place in DEMOS.items():
            demo.command(place, name=name)
        app.command(demo)
    return app


def _below(command: str) -> dict[str, str]:
    from moldau.cli.examples import EXAMPLES, epilogue

    return {"help_epilogue": epilogue(command)} if command in EXAMPLES else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and leave with its exit code."""
    if arguments is None:
        # An executable that is linked under the name of a tool of Kafka is that tool.
        linked = [name] if "kafka-" in sys.argv[0] and (name := _habit(sys.argv[0])) is not None else []
        arguments = [*linked, *sys.argv[1:]]
    gc.disable()
    code = run(arguments)
    _spare_the_collector()
    outcome = sys.modules.get("moldau.cli.outcome")
    for each in () if outcome is None else outcome.AT_THE_END:
        each(code)
    sys.exit(code)


def _spare_the_collector() -> None:
    """Let the garbage collector run from here on, past all that the start has made.

    A start is imports, which leave no garbage and live as long as the process: a search of them on the way, and once
    more at the end, would be a sixth of what `moldau topic list` costs before it dials.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _habit(program: str) -> str | None:
    from moldau.cli.habits import name_of

    return name_of(program)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; everything that goes wrong is said on stderr."""
    if list(arguments) == ["--version"]:
        print(VERSION)
        return 0
    if arguments and arguments[0] == "__complete":
        from moldau.cli.completion import candidates

        print("".join(f"{one}\n" for one in candidates(arguments[1:])), end="")
        return 0
    if arguments and arguments[0].startswith("kafka-") and (name := _habit(arguments[0])) is not None:
        return _run_habit(name, arguments[1:])
    arguments = _with_its_verb(arguments)
    from cyclopts import CycloptsError

    from moldau.cli.interrupts import INTERRUPTS
    from moldau.cli.outcome import BUG, DONE, INTERRUPTED, CommandError
    from moldau.cli.output import say, say_error

    app = build(arguments[0] if arguments else None)
    if _asks_for_the_shape(arguments):
        return _print_shape(app, arguments)
    if not arguments or {"--help", "-h"} & set(arguments):
        import_every_command(app)
    try:
        with INTERRUPTS.noted():
            command, bound, _ignored = app.parse_args(list(arguments), exit_on_error=False, print_error=False)
            _spare_the_collector()
            command(*bound.args, **bound.kwargs)
            sys.stdout.flush()
    except CommandError as error:
        say_error(str(error), error.hint)
        return error.exit_code
    except CycloptsError as error:
        say_error(str(error).strip(), f"`{_help_for(arguments)}` lists what can be said")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever reads our output has seen enough (`| head`). Python would complain once more while it closes stdout.
        sys.stdout = None
        return DONE
    except Exception as error:  # noqa: BLE001 (nothing is expected here: whatever arrives is shown whole, to be reported)
        if INTERRUPTS.arrived:
            return INTERRUPTED
        from moldau.cli.registry import INSTALL, is_about_the_extra

        if is_about_the_extra(error):
            say_error(str(error), INSTALL)
            return 2
        import traceback

        say(traceback.format_exc())
        say_error("this is a bug in moldau", "please report the text above with the command that was run")
        return BUG
    return DONE


def _with_its_verb(arguments: Sequence[str]) -> Sequence[str]:
    """`moldau connect worker.properties` runs a worker, as `connect-distributed` does: the verb may be left out."""
    if arguments and arguments[0] in ALONE:
        verb = ALONE[arguments[0]]
        following = arguments[1] if len(arguments) > 1 else ""
        if following not in NOUNS[arguments[0]][1] and following not in ("--help", "-h"):
            return [arguments[0], verb, *arguments[1:]]
    return arguments


def _run_habit(name: str, arguments: Sequence[str]) -> int:
    """A command line of one of Kafka's tools, in our words; the first failure ends it."""
    from moldau.cli.habits import translate
    from moldau.cli.outcome import CommandError
    from moldau.cli.output import say_error

    try:
        commands = translate(name, arguments)
    except CommandError as error:
        say_error(str(error), error.hint)
        return error.exit_code
    return next(filter(None, map(run, commands)), 0)


def _asks_for_the_shape(arguments: Sequence[str]) -> bool:
    flags = ("-o", "--output")
    apart = any(flag in flags and value == "schema" for flag, value in itertools.pairwise(arguments))
    return apart or any(f"{flag}=schema" in arguments for flag in flags)


def _print_shape(app: App, arguments: Sequence[str]) -> int:
    """`-o schema`: what the command would print for programs. Nothing is asked of a cluster for it."""
    import json

    from moldau.cli.output import say_error
    from moldau.cli.shapes import SHAPES

    words, _apps, _rest = app.parse_commands(list(arguments))
    shape = SHAPES.get(" ".join(words))
    if shape is None:
        say_error(f"moldau {' '.join(words)} has no shape to show")
        return 2
    print(json.dumps(shape, indent=2, ensure_ascii=False))
    return 0


def import_every_command(app: App) -> None:
    """Help shows the first sentence of each command, so they have to be there."""
    for name in app:
        if not name.startswith("-"):
            import_every_command(app[name])


def _help_for(arguments: Sequence[str]) -> str:
    """The help that would have told: of the command if there is one, else of the noun, else the whole."""
    words = list(arguments[:1]) if arguments[0] in VERBS or arguments[0] in NOUNS else []
    if words and words[0] in NOUNS and len(arguments) > 1 and arguments[1] in NOUNS[words[0]][1]:
        words.append(arguments[1])
    return " ".join(["moldau", *words, "--help"])
