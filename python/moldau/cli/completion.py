"""`moldau completion SHELL`: what the shell offers after a tab, live names of topics and groups included.

The script that a shell loads asks `moldau __complete WORDS…` at every tab. Names come from the cluster within 300 ms or
not at all: a tab must never hang.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from moldau.client.protocol.questions import LIST_GROUPS, METADATA
from moldau.internal_names import is_internal_group, is_internal_topic

SCRIPTS: Final[Mapping[str, str]] = {
    "bash": """\
_moldau() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(moldau __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" \\
        -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _moldau moldau
""",
    "zsh": """\
#compdef moldau
_moldau() {
    local -a found
    found=(${(f)"$(moldau __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    (( $#found )) && compadd -a found || _files
}
compdef _moldau moldau
""",
    "fish": """\
complete -c moldau -f -a '(moldau __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}
LIVE_S: Final = 0.3
RESOURCES: Final = ("topic", "broker", "group")


def print_script(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the completion script of a shell.

    bash: eval "$(moldau completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc, behind compinit; fish: moldau
    completion fish > ~/.config/fish/completions/moldau.fish.

    Parameters
    ----------
    shell
        Which one.
    """
    print(SCRIPTS[shell], end="")


def candidates(words: Sequence[str]) -> list[str]:
    """What may stand for the last of `words`, which the user has begun to type."""
    *before, begun = words or [""]
    return sorted(one for one in _offers(before, begun) if one.startswith(begun))


def _offers(before: list[str], begun: str) -> Iterable[str]:
    from moldau.cli import NOUNS, VERBS
    from moldau.cli.habits import TOOLS

    if not before:
        return [*VERBS, *NOUNS, "demo", *(TOOLS if begun.startswith("k") else ())]
    noun = before[0]
    if len(before) == 1 and noun in NOUNS:
        return list(NOUNS[noun][1])
    if noun not in NOUNS and noun not in VERBS:
        return []
    length = 2 if noun in NOUNS else 1
    command, rest = " ".join(before[:length]), before[length:]
    if begun.startswith("-"):
        names = [name for argument in _arguments(before[:length]) for name in argument.names]
        return [name for name in names if not name.startswith(("--empty-", "--no-"))]
    if rest and rest[-1].startswith("-"):
        return _values(rest[-1], before, length)
    return _positional(command, [word for word in rest if not word.startswith("-")], before)


def _arguments(command: Sequence[str]) -> list[Any]:
    from moldau.cli import build

    app = build()
    for word in command:
        app = app[word]
    return [argument for argument in app.assemble_argument_collection() if argument.parse and argument.show]


def _values(option: str, before: list[str], length: int) -> Iterable[str]:
    if option in ("-t", "--topic", "--input-topics", "--intermediate"):
        return _live(before, _topics)
    if option in ("-g", "--group", "--to-group"):
        return _live(before, _groups)
    if option == "--profile":
        return _profiles()
    found = next((argument for argument in _arguments(before[:length]) if option in argument.names), None)
    return found.get_choices() or () if found is not None else ()


def _positional(command: str, given: list[str], before: list[str]) -> Iterable[str]:
    from moldau.config import KEYS

    if command in ("config show", "config set", "config unset"):
        if not given:
            return RESOURCES
        return _live(before, {"topic": _topics, "group": _groups}.get(given[0], _nothing)) if len(given) == 1 else ()
    if command == "config explain":
        return {name for keys in KEYS.values() for name in keys}
    if command.startswith("topic ") and command not in ("topic list", "topic create"):
        return _live(before, _topics)
    if command in ("produce", "consume"):
        return _live(before, _topics) if command == "consume" or not given else ()
    if command in ("streams describe", "streams lag", "streams reset"):
        return _live(before, _groups)
    if command.startswith("group ") and command != "group list":
        return _live(before, _groups)
    if command.startswith("profile ") and command not in ("profile list", "profile create"):
        return _profiles()
    return RESOURCES[:0] if command != "completion" else SCRIPTS


def _profiles() -> Iterable[str]:
    from moldau.cli.outcome import UsageError
    from moldau.cli.profiles import load

    try:
        return load().profiles
    except UsageError:
        return ()


def _nothing(_channel: Any) -> Iterable[str]:
    return ()


def _topics(channel: Any) -> Iterable[str]:
    answer = channel.ask(METADATA, lambda _: {"topics": None})
    return [name for topic in answer.topics if not is_internal_topic(name := str(topic.name))]


def _groups(channel: Any) -> Iterable[str]:
    answer = channel.ask(LIST_GROUPS, lambda _: {})
    return [name for group in answer.groups if not is_internal_group(name := str(group.group_id))]


def _live(before: Sequence[str], ask: Callable[[Any], Iterable[str]]) -> Iterable[str]:
    """Names from the cluster that the line so far speaks of; none when it does not answer at once."""
    from moldau.cli.outcome import CommandError

    found: list[str] = []

    def work() -> None:
        try:
            with _connection(before).channel() as channel:
                found.extend(ask(channel))
        except (CommandError, OSError, TypeError):
            return

    # A name server that sleeps cannot be given a limit; a thread can be left behind.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(LIVE_S)
    return list(found)


def _connection(before: Sequence[str]) -> Any:
    from moldau.cli.connection import Connection
    from moldau.cli.profiles import load

    said = dict(itertools.pairwise(before))
    known = load()
    profile = known.profiles.get(said.get("--profile") or os.environ.get("MOLDAU_PROFILE") or known.current or "")
    servers = said.get("-b") or said.get("--bootstrap-servers") or os.environ.get("MOLDAU_BOOTSTRAP_SERVERS")
    servers = servers or (profile.bootstrap_servers if profile is not None else None) or "localhost:9092"
    settings = [f"{name}={value}" for name, value in profile.settings.items()] if profile is not None else None
    return Connection(bootstrap_servers=servers, setting=settings, timeout_s=LIVE_S)
