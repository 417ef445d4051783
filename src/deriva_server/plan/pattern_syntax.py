"""The syntax of POSIX advanced regular expressions: text to tree."""

from __future__ import annotations

from collections.abc import Callable

from deriva_server.errors import BadRequest
from deriva_server.values import Frozen

_ASSERTIONS = {
    "^": "start", "$": "end", "\\A": "start", "\\Z": "end", "\\m": "word start", "\\M": "word end",
    "\\y": "boundary", "\\Y": "inside",
}  # fmt: skip
_SIGNS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "B": "\\"}
_HEX = {"x": 2, "u": 4, "U": 8}
_MOST_REPEATS = 255
_DEEPEST = 100


def _is_word(sign: str) -> bool:
    return sign == "_" or sign.isalnum()


_CLASSES: dict[str, Callable[[str], bool]] = {
    "alpha": str.isalpha,
    "digit": str.isdecimal,
    "alnum": str.isalnum,
    "upper": str.isupper,
    "lower": str.islower,
    "space": str.isspace,
    "blank": lambda sign: sign in " \t",
    "punct": lambda sign: sign.isprintable() and not sign.isalnum() and not sign.isspace(),
    "cntrl": lambda sign: ord(sign) < 32 or ord(sign) == 127,
    "print": str.isprintable,
    "graph": lambda sign: sign.isprintable() and not sign.isspace(),
    "xdigit": lambda sign: sign in "0123456789abcdefABCDEF",
    "word": _is_word,
}
_SHORT_CLASSES = {"d": "digit", "s": "space", "w": "word"}


class One(Frozen, frozen=True):
    """One character out of a set.

    Parameters
    ----------
    signs : frozenset of str
        Single characters.
    ranges : tuple of (str, str)
        First and last character.
    classes : tuple of (callable, bool)
        Tests, each with whether it must hold.
    negated : bool
        Anything but these.
    """

    signs: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    classes: tuple[tuple[Callable[[str], bool], bool], ...] = ()
    negated: bool = False

    def test(self, ignore_case: bool) -> Callable[[str], bool]:
        """A function that tells whether a character is in the set."""
        if not ignore_case:
            return lambda sign: self._holds(sign) != self.negated
        signs = frozenset(form for sign in self.signs for form in (sign, sign.lower(), sign.upper()))
        both = One(signs, self.ranges, self.classes)
        return lambda sign: (
            any(both._holds(form) for form in {sign, sign.lower(), sign.upper()}) != self.negated
        )

    def _holds(self, sign: str) -> bool:
        return (
            sign in self.signs
            or any(first <= sign <= last for first, last in self.ranges)
            or any(test(sign) == wanted for test, wanted in self.classes)
        )


class Assertion(Frozen, frozen=True):
    """A place rather than a character."""

    kind: str


class Sequence(Frozen, frozen=True):
    """One after the other."""

    parts: tuple[Node, ...]


class Alternative(Frozen, frozen=True):
    """One of several."""

    branches: tuple[Node, ...]


class Repeat(Frozen, frozen=True):
    """At least and at most so many times; `most` is None without limit."""

    inner: Node
    least: int
    most: int | None


Node = One | Assertion | Sequence | Alternative | Repeat

ANYTHING = One(negated=True)


def parse(text: str) -> tuple[Node, bool]:
    """Parse a pattern.

    Returns
    -------
    tree : Node
        What it means.
    insensitive : bool
        Whether it starts with an option that makes it ignore case.

    Raises
    ------
    BadRequest
        If the pattern is malformed or uses what is not supported.
    """
    insensitive = False
    if text.startswith("***="):
        return Sequence(tuple(One(frozenset(sign)) for sign in text[4:])), False
    text = text.removeprefix("***:")
    if text.startswith("(?") and (end := text.find(")")) > 2 and text[2:end].isalpha():
        insensitive = "i" in text[2:end]
        text = text[end + 1 :]
    parser = _Parser(text)
    tree = parser.alternatives(0)
    if parser.at < len(text):
        raise parser.wrong("parentheses () not balanced")
    return tree, insensitive


def plain_text(tree: Node) -> str | None:
    """The text that a pattern without any special meaning stands for, None for other patterns."""
    if isinstance(tree, One):
        tree = Sequence((tree,))
    if not isinstance(tree, Sequence):
        return None
    signs: list[str] = []
    for part in tree.parts:
        if not isinstance(part, One) or part.negated or part.ranges or part.classes or len(part.signs) != 1:
            return None
        signs += part.signs
    return "".join(signs)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def wrong(self, why: str) -> BadRequest:
        return BadRequest(f"invalid regular expression: {why}: {self.text[:80]!r}")

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def take(self) -> str:
        sign = self.peek()
        if not sign:
            raise self.wrong("unexpected end")
        self.at += 1
        return sign

    def accept(self, sign: str) -> bool:
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            return True
        return False

    def alternatives(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.wrong("nested too deeply")
        branches = [self.branch(depth)]
        while self.accept("|"):
            branches.append(self.branch(depth))
        return branches[0] if len(branches) == 1 else Alternative(tuple(branches))

    def branch(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.quantified(self.atom(depth)))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def quantified(self, node: Node) -> Node:
        bounds = self.bounds()
        if bounds is None:
            return node
        if isinstance(node, Assertion):
            raise self.wrong("quantifier operand invalid")
        self.accept("?")
        if self.bounds() is not None:
            raise self.wrong("quantifier operand invalid")
        return Repeat(node, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.accept(sign):
                return bounds
        if self.peek() != "{" or not self.text[self.at + 1 : self.at + 2].isdecimal():
            return None
        end = self.text.find("}", self.at)
        least, comma, most = self.text[self.at + 1 : end].partition(",")
        if end < 0 or not least.isdecimal() or (most and not most.isdecimal()):
            raise self.wrong("invalid repetition count(s)")
        low = int(least)
        high = low if not comma else int(most) if most else None
        if low > _MOST_REPEATS or (high is not None and (high > _MOST_REPEATS or high < low)):
            raise self.wrong("invalid repetition count(s)")
        self.at = end + 1
        return low, high

    def atom(self, depth: int) -> Node:
        sign = self.take()
        if sign == "(":
            if self.accept("?") and not self.accept(":"):
                raise self.wrong("look-ahead is not supported")
            inner = self.alternatives(depth + 1)
            if not self.accept(")"):
                raise self.wrong("parentheses () not balanced")
            return inner if not isinstance(inner, Assertion) else Sequence((inner,))
        if sign == ".":
            return ANYTHING
        if sign == "[":
            return self.bracket()
        if sign in "^$":
            return Assertion(_ASSERTIONS[sign])
        if sign in "*+?":
            raise self.wrong("quantifier operand invalid")
        if sign == "\\":
            return self.escape()
        return One(frozenset(sign))

    def escape(self) -> Node:
        sign = self.take()
        if "\\" + sign in _ASSERTIONS:
            return Assertion(_ASSERTIONS["\\" + sign])
        if sign.isdecimal() and sign != "0":
            raise self.wrong("back references are not supported")
        self.at -= 1
        return self.escaped_set()

    def escaped_set(self) -> One:
        """A class or a character after a backslash, where sets are allowed."""
        sign = self.take()
        if sign.lower() in _SHORT_CLASSES:
            return One(classes=((_CLASSES[_SHORT_CLASSES[sign.lower()]], sign.islower()),))
        if sign in _HEX:
            digits = self.text[self.at : self.at + _HEX[sign]]
            try:
                code = int(digits, 16) if digits.isalnum() else -1
                self.at += len(digits)
                return One(frozenset(chr(code)))
            except (ValueError, OverflowError) as error:
                raise self.wrong("invalid escape \\ sequence") from error
        if sign == "0":
            return One(frozenset("\0"))
        if sign in _SIGNS:
            return One(frozenset(_SIGNS[sign]))
        if sign.isalnum():
            raise self.wrong("invalid escape \\ sequence")
        return One(frozenset(sign))

    def bracket(self) -> One:
        negated = self.accept("^")
        signs: set[str] = set()
        ranges: list[tuple[str, str]] = []
        classes: list[tuple[Callable[[str], bool], bool]] = []
        first = True
        while first or not self.accept("]"):
            first = False
            if self.accept("[:"):
                name = self.until(":]")
                if name not in _CLASSES:
                    raise self.wrong("invalid character class")
                classes.append((_CLASSES[name], True))
                continue
            member = self.member()
            if isinstance(member, One):
                classes.extend(member.classes)
                continue
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.take()
                last = self.member()
                if isinstance(last, One) or last < member:
                    raise self.wrong("invalid character range")
                ranges.append((member, last))
            else:
                signs.add(member)
        return One(frozenset(signs), tuple(ranges), tuple(classes), negated)

    def member(self) -> str | One:
        """One member of a bracket expression, as a character or a class."""
        for mark in (".", "="):
            if self.accept("[" + mark):
                text = self.until(mark + "]")
                if len(text) != 1:
                    raise self.wrong("invalid collating element")
                return text
        sign = self.take()
        if sign != "\\":
            return sign
        found = self.escaped_set()
        return found if found.classes else next(iter(found.signs))

    def until(self, mark: str) -> str:
        end = self.text.find(mark, self.at)
        if end < 0:
            raise self.wrong("brackets [] not balanced")
        text = self.text[self.at : end]
        self.at = end + len(mark)
        return text
