"""The service's rules for Accept and the ``accept=`` option (pure)."""

from __future__ import annotations

CSV = "text/csv"
JSON = "application/json"
JSON_STREAM = "application/x-json-stream"
DATA_TYPES = (JSON, CSV, JSON_STREAM)
"""What rows can be written as."""

_SHORT = {"csv": CSV, "json": JSON}
_SUFFIXES = {CSV: "csv", JSON: "json", JSON_STREAM: "json"}


def accepted(header: str | None, offered: tuple[str, ...] = DATA_TYPES) -> str | None:
    """The offered type that an Accept header likes best, None if it names none of them exactly.

    Patterns such as ``*/*`` are not matched.

    >>> accepted("text/csv;q=0.5, application/json")
    'application/json'
    """
    best, best_weight = None, 0.0
    for part in (header or "").split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                weight = _weight(value)
        if name.lower() in offered and weight > best_weight:
            best, best_weight = name.lower(), weight
    return best


def response_type(option: str | None, header: str | None, default: str = JSON) -> str:
    """The type that rows are sent as.

    Parameters
    ----------
    option : str or None
        The ``accept=`` option, a short or full name; an unknown one is ignored.
    header : str or None
        The Accept header.
    default : str, optional
        Used when neither names a supported type.
    """
    named = _SHORT.get(option or "", option)
    if named in DATA_TYPES:
        return named
    return accepted(header) or default


def suffix(media_type: str) -> str:
    """File name extension of a type.

    >>> suffix(CSV), suffix("image/png")
    ('csv', 'txt')
    """
    return _SUFFIXES.get(media_type, "txt")


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
