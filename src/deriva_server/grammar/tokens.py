"""Raw path text to tokens; the only place where percent-escapes are decoded.

An escaped reserved character is data, an unescaped one is punctuation, so a path is split before it is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, unquote_to_bytes

from deriva_server.errors import BadRequest
from deriva_server.values import Frozen

_T = TypeVar("_T")
_TOKEN = re.compile(r"((?:[A-Za-z0-9\-._~*]|%[0-9A-Fa-f]{2})+)|(::|:=|[():;,=@&/?!$])")
_FREE = re.compile(r"(?:[A-Za-z0-9\-._~*:/@$!()]|%[0-9A-Fa-f]{2})*")


class Token(Frozen, frozen=True):
    """One lexical unit: a decoded string, or a punctuation mark.

    Parameters
    ----------
    text : str
        Decoded text of a string, or the mark itself.
    is_string : bool
        Which of the two it is.
    position : int
        Offset in the raw text, for error messages.
    """

    text: str
    is_string: bool
    position: int


def decode(raw: str) -> str:
    """Text behind percent-escapes.

    Raises
    ------
    BadRequest
        If the escapes do not form UTF-8, or hold the character U+0000, which no database keeps or compares.
    """
    if "%" not in raw:
        return raw
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The percent-escapes of {raw!r} are not UTF-8.") from error
    if "\0" in text:
        raise BadRequest(f"The character U+0000 (%00) may not stand in a URL: {raw!r}.")
    return text


def encode(text: str) -> str:
    """Canonical spelling of `text` in a URL: the raw asterisk stays, all other reserved characters are escaped."""
    return quote(text, safe="*")


def tokenize(raw: str) -> list[Token]:
    """Split the raw path into tokens.

    Raises
    ------
    BadRequest
        At the first character that may not stand unescaped in a path.
    """
    tokens: list[Token] = []
    position, end = 0, len(raw)
    while position < end:
        match = _TOKEN.match(raw, position)
        if match is None:
            raise BadRequest(
                f"Unexpected character {raw[position]!r} at position {position} of {raw!r}; escape it."
            )
        string = match.group(1)
        if string is None:
            tokens.append(Token(match.group(2), False, position))
        else:
            tokens.append(Token(decode(string), True, position))
        position = match.end()
    return tokens


def decode_option(raw: str) -> str:
    """Text of one name or value of the query part.

    Raises
    ------
    BadRequest
        If it holds a character that must be escaped.
    """
    if _FREE.fullmatch(raw) is None:
        raise BadRequest(f"Unexpected character in the query option {raw!r}; escape it.")
    return decode(raw)


class Cursor:
    """A place in a list of tokens, moved by the parsers.

    Parameters
    ----------
    tokens : list of Token
        What to read.
    raw : str
        The text they came from, for error messages.
    """

    __slots__ = ("_at", "_depth", "_raw", "_tokens")

    def __init__(self, tokens: list[Token], raw: str) -> None:
        self._tokens = tokens
        self._raw = raw
        self._at = 0
        self._depth = 0

    @property
    def at_end(self) -> bool:
        """Whether every token has been taken."""
        return self._at >= len(self._tokens)

    def peek(self, ahead: int = 0) -> Token | None:
        """A coming token without taking it, None past the end."""
        index = self._at + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    def sees(self, mark: str, ahead: int = 0) -> bool:
        """Whether a coming token is the punctuation `mark`."""
        token = self.peek(ahead)
        return token is not None and not token.is_string and token.text == mark

    def sees_string(self, ahead: int = 0) -> bool:
        """Whether a coming token is a string."""
        token = self.peek(ahead)
        return token is not None and token.is_string

    def sees_word(self, words: frozenset[str], ahead: int = 0) -> bool:
        """Whether a coming token is a string that spells one of `words` in any case."""
        token = self.peek(ahead)
        return token is not None and token.is_string and token.text.lower() in words

    def take(self) -> Token:
        """The next token."""
        if self.at_end:
            raise self.wrong("something more")
        token = self._tokens[self._at]
        self._at += 1
        return token

    def accept(self, mark: str) -> bool:
        """Take the punctuation `mark` if it comes next."""
        if self.sees(mark):
            self._at += 1
            return True
        return False

    def expect(self, mark: str) -> None:
        """Take the punctuation `mark` or fail."""
        if not self.accept(mark):
            raise self.wrong(repr(mark))

    def string(self, what: str) -> str:
        """Take a string or fail, saying that `what` was wanted."""
        if not self.sees_string():
            raise self.wrong(what)
        return self.take().text

    def listed(self, read: Callable[[Cursor], _T], separator: str = ",") -> tuple[_T, ...]:
        """One or more of what `read` reads, parted by `separator`."""
        found = [read(self)]
        while self.accept(separator):
            found.append(read(self))
        return tuple(found)

    def end(self) -> None:
        """Fail unless every token has been taken."""
        if not self.at_end:
            raise self.wrong("the end")

    def deeper(self) -> None:
        """Count one more open parenthesis; nesting is bounded."""
        self._depth += 1
        if self._depth > 100:
            raise BadRequest("The predicate is nested too deeply.")

    def shallower(self) -> None:
        """Count one parenthesis less."""
        self._depth -= 1

    def wrong(self, wanted: str) -> BadRequest:
        """The error to raise when `wanted` does not come next."""
        token = self.peek()
        if token is None:
            return BadRequest(f"Expected {wanted} at the end of {self._raw!r}.")
        return BadRequest(
            f"Expected {wanted}, found {token.text!r} at position {token.position} of {self._raw!r}."
        )
