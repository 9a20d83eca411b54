"""Versions of plugins that somebody asks for (KIP-891): one, or ranges, as Maven writes and orders them.

Of each plugin there is one version here. Asked for another one, a worker that took its own would hide what it does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

LATEST: Final = "latest"
_SET: Final = re.compile(r"(?P<opens>[\[(])(?P<low>[^,\[\]()]*)(?:(?P<comma>,)(?P<high>[^,\[\]()]*))?(?P<closes>[\])])")
# What stands behind a number, from the earliest on; without one of them it is the release.
_BEFORE_RELEASE: Final = ("alpha", "beta", "milestone", "rc", "snapshot")
_SHORT: Final = {"a": "alpha", "b": "beta", "m": "milestone", "cr": "rc"}
_RELEASE: Final = ("final", "ga", "release")

_Token = tuple[int, int, str]
_NOTHING: Final[_Token] = (0, 0, "")


@dataclass(frozen=True, slots=True)
class _Set:
    low: str
    low_too: bool
    high: str
    high_too: bool

    def holds(self, version: str) -> bool:
        after_low = not self.low or _order(version, self.low) > (-1 if self.low_too else 0)
        return after_low and (not self.high or _order(version, self.high) < (1 if self.high_too else 0))


class Wanted:
    """What is asked for. Raises ValueError for what is neither a version nor a list of ranges."""

    def __init__(self, text: str) -> None:
        stripped = re.sub(r"\s", "", text)
        # A bare version is that one and no other.
        self._text = f"[{stripped}]" if re.fullmatch(r"[^,\[\]()]+", stripped) else stripped
        found = list(_SET.finditer(self._text))
        self._sets = [_set(each) for each in found]
        if not found or ",".join(each[0] for each in found) != self._text:
            raise ValueError(f"{text} is neither a version nor ranges of versions, such as [1.0,2.0)")

    def __str__(self) -> str:
        return self._text

    def takes(self, version: str) -> bool:
        """Whether this version is one of those."""
        return any(each.holds(version) for each in self._sets)


def why_not(plugin: str, version: str, asked: str | None) -> str | None:
    """Why a plugin that there is in this version is not the one that is asked for, in Kafka's words; None if it is.

    Raises:
        ValueError: nobody knows what is asked for.
    """
    if asked is None or asked == LATEST:
        return None
    wanted = Wanted(asked)
    if wanted.takes(version):
        return None
    return f"Plugin {plugin} not found that matches the version range {wanted}, available versions: [{version}]"


def _set(found: re.Match[str]) -> _Set:
    low, high = found["low"], found["high"] if found["comma"] else found["low"]
    low_too, high_too = found["opens"] == "[", found["closes"] == "]"
    if not found["comma"] and not (low and low_too and high_too):
        raise ValueError(f"a single version stands between [ and ], unlike {found[0]}")
    if low and high and _order(low, high) > 0:
        raise ValueError(f"the range {found[0]} ends before it begins")
    return _Set(low, low_too, high, high_too)


def _order(version: str, other: str) -> int:
    """Which is the later one: more than 0 if `version` is, 0 if they are the same."""
    pairs = zip_longest(_tokens(version), _tokens(other), fillvalue=_NOTHING)
    return next((1 if one > two else -1 for one, two in pairs if one != two), 0)


def _tokens(version: str) -> list[_Token]:
    return [_token(each) for each in re.findall(r"\d+|[^\W\d_]+", version.lower())]


def _token(text: str) -> _Token:
    if text.isdecimal():
        return (3, int(text), "") if int(text) else _NOTHING
    name = _SHORT.get(text, text)
    if name in _BEFORE_RELEASE:
        return (_BEFORE_RELEASE.index(name) - len(_BEFORE_RELEASE), 0, "")
    if name in _RELEASE:
        return _NOTHING
    return (1, 0, "") if name == "sp" else (2, 0, name)
