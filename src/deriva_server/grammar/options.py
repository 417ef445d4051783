"""The query part of a URL."""

from __future__ import annotations

from deriva_server.grammar.tokens import decode_option, encode
from deriva_server.values import Frozen


class Options(Frozen, frozen=True):
    """The query part: names with lists of values; a bare name has none.

    Examples
    --------
    >>> options = parse_options("limit=5&defaults=a,b")
    >>> options.one("limit"), options.set("defaults") == {"a", "b"}, "x" in options
    ('5', True, False)
    """

    entries: tuple[tuple[str, tuple[str, ...] | None], ...] = ()

    def __contains__(self, name: str) -> bool:
        return any(entry == name for entry, _ in self.entries)

    def set(self, name: str) -> frozenset[str]:
        """Every value given for `name`, over all its repetitions."""
        return frozenset(value for entry, values in self.entries if entry == name for value in values or ())

    def one(self, name: str) -> str | None:
        """The last value given for `name`, None without one."""
        found = None
        for entry, values in self.entries:
            if entry == name and values:
                found = values[-1]
        return found

    def __str__(self) -> str:
        return "&".join(
            encode(name) + ("" if values is None else "=" + ",".join(map(encode, values)))
            for name, values in self.entries
        )


def parse_options(raw: str) -> Options:
    """Parse the text after the first ``?``.

    Raises
    ------
    BadRequest
        At a character that must be escaped.
    """
    entries: list[tuple[str, tuple[str, ...] | None]] = []
    for part in raw.replace(";", "&").split("&"):
        name, equals, values = part.partition("=")
        if not part:
            continue
        listed = tuple(decode_option(value) for value in values.split(",")) if equals else None
        entries.append((decode_option(name), listed))
    return Options(tuple(entries))
