r"""Regular expressions of Java, as settings of connectors have them, in Python.

What both write the same way goes as it is; what they write differently is translated: named groups, `\p{...}` of
ASCII, `\Q...\E`, `\h`, `\R`, `\z`, classes in classes and their intersection, the characters that a dot leaves
out. What has no counterpart is refused with its place (`JavaRegexError`) rather than guessed.

Replacements know `$1`, `${name}` and a backslash before a character that stands for itself.
"""

from __future__ import annotations

import re
from typing import Final

from moldau.connect.config_def import invalid
from moldau.connect.errors import ConnectError

LINE_ENDS: Final = r"\n\r\x85\u2028\u2029"
SETS: Final = {
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7f",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Punct": r"!-/:-@\[-`{-~",
    "Graph": "!-~",
    "Print": " -~",
    "Blank": r" \t",
    "Cntrl": r"\x00-\x1f\x7f",
    "XDigit": "0-9a-fA-F",
    "Space": r" \t\n\x0b\f\r",
}
SAME_ESCAPES: Final = "dDwWsSbBtnrfaAtu"
SHORT_SETS: Final = {"h": r" \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000", "v": r"\n\x0b\f\r\x85\u2028\u2029"}


class JavaRegexError(ConnectError):
    """A pattern that Java would refuse, or that Python cannot match as Java does."""


def compile_java(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled. Raises `JavaRegexError`."""
    translated = _Translator(pattern).translate()
    try:
        return re.compile(translated, re.ASCII)
    except re.error as error:
        raise JavaRegexError(f"the regular expression {pattern!r} cannot be used: {error}") from error


class JavaRegexValidator:
    """The rule for a setting that holds such a pattern."""

    def ensure_valid(self, name: str, value: object) -> None:
        try:
            compile_java(str(value))
        except JavaRegexError as error:
            raise invalid(name, value, f"Invalid regex: {error}") from error

    def __str__(self) -> str:
        return "valid regex"


class _Translator:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._dot_all = re.search(r"\(\?[a-z]*s", pattern) is not None

    def translate(self) -> str:
        out: list[str] = []
        while self._at < len(self._pattern):
            out.append(self._one())
        return "".join(out)

    def _refuse(self, why: str, at: int | None = None) -> JavaRegexError:
        place = (self._at if at is None else at) + 1
        return JavaRegexError(f"the regular expression {self._pattern!r} cannot be used: {why} (character {place})")

    def _one(self) -> str:
        pattern, at = self._pattern, self._at
        letter = pattern[at]
        if letter == "\\":
            return self._escape(in_class=False)
        if letter == "[":
            return self._class()
        if pattern.startswith("(?<", at) and pattern[at + 3 : at + 4] not in {"=", "!"}:
            self._at += 3
            return "(?P<"
        if pattern.startswith("(?", at):
            return self._flags()
        self._at += 1
        if letter == "." and not self._dot_all:
            return f"[^{LINE_ENDS}]"
        if letter == "{":
            match = re.compile(r"\{[0-9]+(,[0-9]*)?\}").match(pattern, at)
            if match is None:
                raise self._refuse("Illegal repetition", at)
            self._at = match.end()
            return match[0]
        return letter

    def _flags(self) -> str:
        match = re.compile(r"\(\?([a-zA-Z]*)(-[a-zA-Z]*)?([:)])").match(self._pattern, self._at)
        if match is None:
            self._at += 2
            return "(?"
        for flag in match[1] + (match[2] or ""):
            if flag not in "imsxu-":
                raise self._refuse(f"the flag {flag!r} has no counterpart in Python")
        if match[3] == ")" and self._at != 0:
            raise self._refuse("flags in the middle of a pattern; put them at its beginning, or write (?i:...)")
        self._at = match.end()
        on = match[1].replace("u", "")
        if match[3] == ")":
            return f"(?{on})" if on else ""
        return f"(?{on}{match[2] or ''}:"

    def _escape(self, *, in_class: bool) -> str:
        pattern = self._pattern
        following = pattern[self._at + 1 : self._at + 2]
        start = self._at
        self._at += 2
        if following == "":
            raise self._refuse("it ends with a backslash", start)
        if following == "Q":
            end = pattern.find("\\E", self._at)
            text = pattern[self._at :] if end < 0 else pattern[self._at : end]
            self._at = len(pattern) if end < 0 else end + 2
            return re.escape(text)
        if following in "pP":
            return self._property(negated=following == "P", in_class=in_class)
        if following in "hv":
            return SHORT_SETS[following] if in_class else f"[{SHORT_SETS[following]}]"
        if following in "HV" and not in_class:
            return f"[^{SHORT_SETS[following.lower()]}]"
        if following == "k" and not in_class:
            match = re.compile(r"<(\w+)>").match(pattern, self._at)
            if match is None:
                raise self._refuse("\\k is not followed by the <name> of a group", start)
            self._at = match.end()
            return f"(?P={match[1]})"
        if following == "x":
            return self._hexadecimal(start)
        if following in "zZR" and not in_class:
            return {
                "z": r"\Z",
                "Z": r"(?=(?:\r\n|[\n\r\x85\u2028\u2029])?\Z)",
                "R": r"(?:\r\n|[\n-\r\x85\u2028\u2029])",
            }[following]
        if following == "e":
            return r"\x1b"
        if following.isalpha() and following.isascii() and following not in SAME_ESCAPES:
            raise self._refuse(f"\\{following} is not an escape that both Java and Python know", start)
        return pattern[start : self._at]

    def _hexadecimal(self, start: int) -> str:
        match = re.compile(r"\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2})").match(self._pattern, self._at)
        if match is None:
            raise self._refuse("\\x needs two hexadecimal digits", start)
        self._at = match.end()
        return f"\\U{int(match[1] or match[2], 16):08x}"

    def _property(self, *, negated: bool, in_class: bool) -> str:
        match = re.compile(r"\{(\w+)\}|(\w)").match(self._pattern, self._at)
        name = (match[1] or match[2]) if match else ""
        if match is None or name not in SETS:
            raise self._refuse(f"\\p{{{name}}} is not known here; known are {', '.join(SETS)}")
        self._at = match.end()
        if in_class:
            if negated:
                raise self._refuse("\\P in a class has no counterpart; write the class the other way round")
            return SETS[name]
        return f"[{'^' if negated else ''}{SETS[name]}]"

    def _class(self) -> str:
        start = self._at
        self._at += 1
        negated = self._pattern.startswith("^", self._at)
        self._at += negated
        parts: list[str] = [""]
        first = True
        while True:
            if self._at >= len(self._pattern):
                raise self._refuse("Unclosed character class", start)
            letter = self._pattern[self._at]
            if letter == "]" and not first:
                self._at += 1
                break
            if self._pattern.startswith("&&", self._at):
                self._at += 2
                parts.append("")
            elif letter == "[":
                parts[-1] = self._merged(parts[-1], self._class(), start)
            elif letter == "\\":
                parts[-1] += self._escape(in_class=True)
            else:
                parts[-1] += "\\" + letter if letter in "]&~|" else letter
                self._at += 1
            first = False
        return self._joined(parts, negated=negated, start=start)

    def _merged(self, before: str, inner: str, start: int) -> str:
        """A class in a class: their union, unless the inner one stands alone and says what it is not."""
        if inner.startswith("(") or (inner.startswith("[^") and before):
            raise self._refuse("a class like this in another one has no counterpart", start)
        if inner.startswith("[^"):
            return inner
        return before + inner[1:-1]

    def _joined(self, parts: list[str], *, negated: bool, start: int) -> str:
        classes = [part if part.startswith("[^") else f"[{part}]" for part in parts]
        if len(classes) == 1:
            if negated and parts[0].startswith("[^"):
                raise self._refuse("a class like this in another one has no counterpart", start)
            return f"[^{parts[0]}]" if negated else classes[0]
        if negated:
            raise self._refuse("the opposite of an intersection has no counterpart", start)
        return "(?:" + "".join(f"(?={each})" for each in classes[:-1]) + classes[-1] + ")"


class Replacement:
    """What takes the place of a match, in the form of `Matcher.replaceFirst`. Raises `JavaRegexError`."""

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        self._pattern = pattern
        self._parts: list[str | int] = []
        at = 0
        while at < len(text):
            if text[at] == "\\":
                if at + 1 == len(text):
                    raise JavaRegexError(f"the replacement {text!r} ends with a backslash")
                self._parts.append(text[at + 1])
                at += 2
            elif text[at] == "$":
                group, at = self._group(text, at)
                self._parts.append(group)
            else:
                self._parts.append(text[at])
                at += 1

    def _group(self, text: str, at: int) -> tuple[int, int]:
        named = re.compile(r"\$\{([a-zA-Z][a-zA-Z0-9]*)\}").match(text, at)
        if named:
            if named[1] not in self._pattern.groupindex:
                known = ", ".join(self._pattern.groupindex) or "none"
                raise JavaRegexError(f"the replacement {text!r} names the group {named[1]!r}; the pattern has: {known}")
            return self._pattern.groupindex[named[1]], named.end()
        if not text[at + 1 : at + 2].isdigit():
            raise JavaRegexError(f"the replacement {text!r} has a $ that names no group\nhint: write \\$ for the sign")
        number, end = int(text[at + 1]), at + 2
        if number > self._pattern.groups:
            raise JavaRegexError(
                f"the replacement {text!r} names group {number}; the pattern has {self._pattern.groups}"
            )
        while text[end : end + 1].isdigit() and number * 10 + int(text[end]) <= self._pattern.groups:
            number = number * 10 + int(text[end])
            end += 1
        return number, end

    def first(self, text: str) -> str:
        """`text` with the first match replaced."""
        return self._pattern.sub(self._expand, text, count=1)

    def _expand(self, match: re.Match[str]) -> str:
        return "".join(part if isinstance(part, str) else (match[part] or "") for part in self._parts)
