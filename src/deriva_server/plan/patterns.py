"""POSIX advanced regular expressions, matched in time linear in the text.

A pattern becomes a nondeterministic automaton whose deterministic form is built while texts are read, so no pattern
can make the server hang the way backtracking does. Matching is unanchored and tells only whether there is a match.
Back references and look-ahead need backtracking and are refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from deriva_server.errors import BadRequest, TimeLimit
from deriva_server.plan.pattern_syntax import (
    Alternative,
    Assertion,
    Node,
    One,
    Repeat,
    Sequence,
    parse,
    plain_text,
)

_MOST_STATES = 4000
_MOST_KEPT = 2000
_PATIENCE_SECONDS = 2.0
_EDGE, _WORD, _OTHER = 0, 1, 2


def check_pattern(text: str) -> str:
    """Return `text` if it is a pattern.

    Raises
    ------
    BadRequest
        If it is malformed or uses what is not supported.
    """
    matcher(text, False)
    return text


@lru_cache(maxsize=256)
def literal(text: str) -> str | None:
    """The text that a pattern without any special sign looks for, None for other patterns.

    >>> literal("a.b"), literal("a/b")
    (None, 'a/b')
    """
    tree, insensitive = parse(text)
    return None if insensitive else plain_text(tree)


@lru_cache(maxsize=256)
def matcher(text: str, ignore_case: bool) -> Callable[[str], bool]:
    """A function that tells whether the pattern matches somewhere in a text.

    Parameters
    ----------
    text : str
        The pattern.
    ignore_case : bool
        Whether letters match their other case.

    Raises
    ------
    BadRequest
        If the pattern is malformed.

    Examples
    --------
    >>> matcher("^a(b|c)+$", True)("ABCB")
    True
    """
    tree, insensitive = parse(text)
    ignore_case = ignore_case or insensitive
    plain = plain_text(tree)
    if plain is not None:
        if not ignore_case:
            return lambda subject: plain in subject
        lower = plain.lower()
        return lambda subject: lower in subject.lower()
    return Automaton(tree, ignore_case).search


@dataclass(slots=True)
class _State:
    """One state of the nondeterministic automaton; it consumes a character, asserts, or just leads on."""

    one: Callable[[str], bool] | None = None
    assertion: str | None = None
    next: list[int] = field(default_factory=list)


class _Known:
    """One state of the deterministic automaton: states before their empty moves, and what stood before."""

    __slots__ = ("core", "moves", "previous")

    def __init__(self, core: frozenset[int], previous: int) -> None:
        self.core = core
        self.previous = previous
        self.moves: dict[str, _Known | None] = {}


class Automaton:
    """A compiled pattern.

    Parameters
    ----------
    tree : Node
        The parsed pattern.
    ignore_case : bool
        Whether letters match their other case.
    """

    def __init__(self, tree: Node, ignore_case: bool) -> None:
        self._ignore_case = ignore_case
        self._states: list[_State] = []
        start, ends = self._build(tree)
        self._start, self._end = start, self._add(_State())
        self._point(ends, self._end)
        self._reset()

    def search(self, text: str) -> bool:
        """Whether the pattern matches somewhere in `text`.

        Raises
        ------
        TimeLimit
            If one text takes too long.
        """
        state, began = self._first, 0.0
        for at, sign in enumerate(text):
            following = state.moves.get(sign, self)
            if following is self:
                if at & 255 == 255:
                    began = began or time.monotonic()
                    if time.monotonic() - began > _PATIENCE_SECONDS:
                        raise TimeLimit()
                following = self._move(state, sign)
            if following is None:
                return True
            state = following  # type: ignore[assignment]
        return self._end in self._closure(state, _EDGE)

    def _reset(self) -> None:
        self._known: dict[tuple[frozenset[int], int], _Known] = {}
        self._first = self._know(frozenset((self._start,)), _EDGE)

    def _know(self, core: frozenset[int], previous: int) -> _Known:
        key = (core, previous)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(core, previous)
        return known

    def _move(self, state: _Known, sign: str) -> _Known | None:
        """The state after reading `sign`, None for a match before it."""
        kind = _WORD if sign == "_" or sign.isalnum() else _OTHER
        reached = self._closure(state, kind)
        if self._end in reached:
            following = None
        else:
            core = {self._start}
            for index in reached:
                one = self._states[index].one
                if one is not None and one(sign):
                    core.update(self._states[index].next)
            if len(self._known) > _MOST_KEPT:
                self._reset()
            following = self._know(frozenset(core), kind)
        state.moves[sign] = following
        return following

    def _closure(self, state: _Known, following: int) -> set[int]:
        """Every state reachable without reading, between `state.previous` and `following`."""
        reached: set[int] = set()
        waiting = list(state.core)
        while waiting:
            index = waiting.pop()
            if index in reached:
                continue
            reached.add(index)
            one = self._states[index]
            if one.one is None and (
                one.assertion is None or _holds(one.assertion, state.previous, following)
            ):
                waiting.extend(one.next)
        return reached

    def _add(self, state: _State) -> int:
        if len(self._states) >= _MOST_STATES:
            raise BadRequest("The regular expression is too large.")
        self._states.append(state)
        return len(self._states) - 1

    def _point(self, ends: list[int], target: int) -> None:
        for end in ends:
            self._states[end].next.append(target)

    def _build(self, node: Node) -> tuple[int, list[int]]:
        """Add the states of a node; returns its first state and the states that lead out of it."""
        if isinstance(node, One):
            index = self._add(_State(one=node.test(self._ignore_case)))
            return index, [index]
        if isinstance(node, Assertion):
            index = self._add(_State(assertion=node.kind))
            return index, [index]
        start = self._add(_State())
        if isinstance(node, Sequence):
            ends = [start]
            for part in node.parts:
                first, out = self._build(part)
                self._point(ends, first)
                ends = out
            return start, ends
        if isinstance(node, Alternative):
            ends = []
            for branch in node.branches:
                first, out = self._build(branch)
                self._states[start].next.append(first)
                ends += out
            return start, ends
        return start, self._repeat(node, start)

    def _repeat(self, node: Repeat, start: int) -> list[int]:
        ends = [start]
        for _ in range(node.least):
            first, out = self._build(node.inner)
            self._point(ends, first)
            ends = out
        if node.most is None:
            loop = self._add(_State())
            self._point(ends, loop)
            first, out = self._build(node.inner)
            self._states[loop].next.append(first)
            self._point(out, loop)
            return [loop]
        exits = list(ends)
        for _ in range(node.most - node.least):
            first, out = self._build(node.inner)
            self._point(ends, first)
            ends = out
            exits += out
        return exits


def _holds(assertion: str, previous: int, following: int) -> bool:
    if assertion == "start":
        return previous == _EDGE
    if assertion == "end":
        return following == _EDGE
    before, after = previous == _WORD, following == _WORD
    if assertion == "word start":
        return after and not before
    if assertion == "word end":
        return before and not after
    return (before != after) == (assertion == "boundary")
