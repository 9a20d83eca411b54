"""Doing one thing to several named things: ask first, then say of each what became of it.

A failure of one is no failure of the others: what was done is printed, and the exit code says that it was not all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.outcome import CommandError, PartlyDoneError, RefusedError, UsageError
from moldau.cli.output import Output, emphasised

if TYPE_CHECKING:
    from concurrent.futures import Future

Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative=(), help="Do not ask.")]
Topics = Annotated[list[str] | None, Parameter(name=["--topic", "-t"], negative=())]
Execute = Annotated[bool, Parameter(negative=())]
DryRun = Annotated[bool, Parameter(name=["--dry-run", "-n"], negative=())]


def require(names: Sequence[str], noun: str) -> None:
    """Refuse to do something to nothing.

    Raises:
        UsageError: no name was given.
    """
    if not names:
        raise UsageError(f"no {noun} was named", f"`moldau {noun} list` shows those that there are")


def confirm(deed: str, *, yes: bool, ask: Callable[[str], str] = input) -> None:
    """Ask before something that cannot be taken back; without a terminal there is nobody to ask.

    Raises:
        UsageError: there is nobody to ask.
        RefusedError: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"this would {deed}", "add --yes when that is what you want")
    if ask(emphasised(f"{deed}? [y/N] ", sys.stdout)).strip().lower() not in ("y", "yes"):
        raise RefusedError("nothing was done")


def report(noun: str, futures: Mapping[str, Future[Any]], done: str, connection: Connection, output: Output) -> None:
    """Wait for each answer and print what it was.

    Raises:
        CommandError: some or all of them failed; `PartlyDoneError` when others did not.
    """
    records: list[dict[str, str]] = []
    failures: list[CommandError] = []
    for name, future in futures.items():
        try:
            connection.answer(future)
            records.append({noun: name, "result": done})
        except CommandError as error:
            failures.append(error)
            records.append({noun: name, "result": str(error)})
    if len(futures) > 1 or not failures:
        output.records(records, (noun, "result"))
    settle(failures, len(futures))


def settle(failures: Sequence[CommandError], of: int) -> None:
    """End as failures out of `of` things ask for.

    Raises:
        CommandError: the first failure when nothing was done, `PartlyDoneError` when something was.
    """
    if failures and len(failures) == of:
        raise failures[0]
    if failures:
        raise PartlyDoneError(f"{len(failures)} of {of} failed")
