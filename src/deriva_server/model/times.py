"""Canonical text of dates, times and intervals."""

from __future__ import annotations

import datetime as dt
import re
from fractions import Fraction

_DATE = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<fraction>\d+))?)?"
_OFFSET = (
    r"\s*(?:Z|z|UTC|GMT|"
    r"(?P<offset_sign>[+-])(?P<offset_hour>\d{1,2})(?::?(?P<offset_minute>\d{2})(?::?(?P<offset_second>\d{2}))?)?)?"
)
_MOMENT = re.compile(rf"\s*{_DATE}(?:[Tt\s]+{_CLOCK}{_OFFSET})?\s*")
_TIME = re.compile(rf"\s*{_CLOCK}{_OFFSET}\s*")
_UNITS = {
    "y": ("month", 12), "yr": ("month", 12), "yrs": ("month", 12), "year": ("month", 12), "years": ("month", 12),
    "mon": ("month", 1), "mons": ("month", 1), "month": ("month", 1), "months": ("month", 1),
    "w": ("day", 7), "week": ("day", 7), "weeks": ("day", 7),
    "d": ("day", 1), "day": ("day", 1), "days": ("day", 1),
    "h": ("us", 3_600_000_000), "hr": ("us", 3_600_000_000), "hrs": ("us", 3_600_000_000),
    "hour": ("us", 3_600_000_000), "hours": ("us", 3_600_000_000),
    "m": ("us", 60_000_000), "min": ("us", 60_000_000), "mins": ("us", 60_000_000),
    "minute": ("us", 60_000_000), "minutes": ("us", 60_000_000),
    "s": ("us", 1_000_000), "sec": ("us", 1_000_000), "secs": ("us", 1_000_000),
    "second": ("us", 1_000_000), "seconds": ("us", 1_000_000),
    "ms": ("us", 1000), "millisecond": ("us", 1000), "milliseconds": ("us", 1000),
    "us": ("us", 1), "microsecond": ("us", 1), "microseconds": ("us", 1),
}  # fmt: skip
_PART = re.compile(
    r"\s*(?:(?P<sign>[+-])?(?P<h>\d+):(?P<m>\d{1,2})(?::(?P<s>\d{1,2}(?:\.\d+)?))?(?!\S)"
    r"|(?P<number>[+-]?\d+(?:\.\d*)?|[+-]?\.\d+)\s*(?P<unit>[A-Za-z]*))"
)
_ISO_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_ISO_DATE = re.compile(rf"{_ISO_NUMBER}([YMWD])"), {"Y": "year", "M": "month", "W": "week", "D": "day"}
_ISO_TIME = re.compile(rf"{_ISO_NUMBER}([HMS])"), {"H": "hour", "M": "minute", "S": "second"}


def shorten(text: str) -> str:
    """Drop the trailing zeros of a stored timestamp's fraction, and an empty fraction.

    >>> shorten("2020-01-31T01:02:03.450000+00:00"), shorten("2020-01-31T01:02:03.000000")
    ('2020-01-31T01:02:03.45+00:00', '2020-01-31T01:02:03')
    """
    return text[:19] + text[19:26].rstrip("0").rstrip(".") + text[26:]


def _canonical(text: str) -> str | None:
    """The same as the long way, faster: without offset, where `text` differs in its separator and its end only."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    found = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    bare = text.removesuffix("Z").removesuffix("+00:00").replace(" ", "T")
    return found if bare in (found, found.removesuffix(".000000")) else None


def date(text: str) -> str:
    """Canonical date; a time of day after it is dropped."""
    if len(text) == 10 and text[4] == text[7] == "-":
        try:
            return dt.date.fromisoformat(text).isoformat()
        except ValueError:
            pass
    match = _fit(_MOMENT, text)
    return dt.date(int(match["year"]), int(match["month"]), int(match["day"])).isoformat()


def timestamp(text: str) -> str:
    """Canonical timestamp without offset; an offset in `text` is ignored."""
    quick = _canonical(text)
    if quick is not None:
        return quick
    return _moment(_fit(_MOMENT, text)).isoformat(timespec="microseconds")


def timestamptz(text: str) -> str:
    """Canonical timestamp in UTC; a missing offset is UTC.

    >>> timestamptz("2018-01-1T01:00:00.0-0130")
    '2018-01-01T02:30:00.000000+00:00'
    """
    quick = _canonical(text)
    if quick is not None:
        return quick + "+00:00"
    match = _fit(_MOMENT, text)
    moment = _moment(match) - dt.timedelta(seconds=_offset(match))
    return moment.isoformat(timespec="microseconds") + "+00:00"


def time(text: str) -> str:
    """Canonical time of day."""
    return _clock(_since_midnight(_fit(_TIME, text)))


def timetz(text: str) -> str:
    """Canonical time of day with its offset, UTC when missing."""
    match = _fit(_TIME, text)
    offset = _offset(match)
    shown = _clock(abs(offset) * 1_000_000).removesuffix(":00").removesuffix(":00")
    return _clock(_since_midnight(match)) + ("-" if offset < 0 else "+") + shown


_DAY = 86_400_000_000
_MOST, _MOST_MICROSECONDS = (1 << 31) - 1, (1 << 63) - 1


def interval(text: str) -> str:
    """Canonical interval in PostgreSQL's words.

    >>> interval("26 hours 1 day"), interval("P1Y2MT3S"), interval("-1 day")
    ('1 day 26:00:00', '1 year 2 mons 00:00:03', '-1 days')
    """
    return _interval_text(*_interval_parts(text))


def interval_length(text: str) -> float:
    """Estimated seconds of an interval, months as 30 days, to sort by."""
    months, days, microseconds = _interval_parts(text)
    return (months * 30 + days) * 86400.0 + microseconds / 1e6


def _fit(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return match


def _fraction(match: re.Match[str]) -> int:
    digits = match["fraction"] or ""
    return round(Fraction(int(digits), 10 ** len(digits)) * 1_000_000) if digits else 0


def _moment(match: re.Match[str]) -> dt.datetime:
    day = dt.datetime(int(match["year"]), int(match["month"]), int(match["day"]))
    return day + dt.timedelta(microseconds=_since_midnight(match))


def _since_midnight(match: re.Match[str]) -> int:
    """Microseconds; the last moment of a day may be written as the first of the next."""
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    found = (hour * 3600 + minute * 60 + second) * 1_000_000 + _fraction(match)
    if minute > 59 or second > 60 or found > _DAY:
        raise ValueError(match.string)
    return found


def _clock(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return text + (f".{rest:06d}".rstrip("0") if rest else "")


def _offset(match: re.Match[str]) -> int:
    """Seconds east of UTC."""
    hours, minutes, seconds = (int(match[f"offset_{part}"] or 0) for part in ("hour", "minute", "second"))
    found = hours * 3600 + minutes * 60 + seconds
    if hours > 15 or minutes > 59 or seconds > 59:
        raise ValueError(match.string)
    return -found if match["offset_sign"] == "-" else found


def _interval_parts(text: str) -> tuple[int, int, int]:
    words = text.strip()
    if words[:1] in ("P", "p"):
        words = _from_iso(words)
    ago = words.lower().endswith(" ago")
    words = (words[:-4] if ago else words).rstrip()
    if not words:
        raise ValueError(text)
    totals = {"month": Fraction(0), "day": Fraction(0), "us": Fraction(0)}
    at = 0
    while at < len(words):
        match = _PART.match(words, at)
        # ``1-2`` is a year and two months elsewhere.
        if match is None or (words[at] in "+-" and at and words[at - 1].isdigit()):
            raise ValueError(text)
        kind, amount = _part(match)
        totals[kind] += amount
        at = match.end()
    months = int(totals["month"])
    days_left = totals["day"] + (totals["month"] - months) * 30
    days = int(days_left)
    microseconds = round(totals["us"] + (days_left - days) * _DAY)
    # What PostgreSQL can keep.
    if max(abs(months), abs(days)) > _MOST or abs(microseconds) > _MOST_MICROSECONDS:
        raise ValueError(text)
    sign = -1 if ago else 1
    return sign * months, sign * days, sign * microseconds


def _part(match: re.Match[str]) -> tuple[str, Fraction]:
    """The unit of a part of an interval (month, day or microsecond), and how many."""
    if match["number"] is not None:
        kind, scale = _UNITS.get((match["unit"] or "s").lower(), (None, 0))
        if kind is None:
            raise ValueError(match.string)
        return kind, Fraction(match["number"]) * scale
    minutes, seconds = int(match["m"]), Fraction(match["s"] or 0)
    if minutes > 59 or seconds > 60:
        raise ValueError(match.string)
    length = (int(match["h"]) * 3600 + minutes * 60 + seconds) * 1_000_000
    return "us", -length if match["sign"] == "-" else length


def _from_iso(text: str) -> str:
    day_part, _, time_part = text[1:].upper().partition("T")
    words = []
    for part, (pattern, units) in ((day_part, _ISO_DATE), (time_part, _ISO_TIME)):
        if pattern.sub("", part):
            raise ValueError(text)
        words += [f"{number} {units[letter]}" for number, letter in pattern.findall(part)]
    return " ".join(words)


def _interval_text(months: int, days: int, microseconds: int) -> str:
    """Years, months, days and a clock; as in PostgreSQL a sign also tells what follows a negative part from it."""
    years = int(months / 12)
    words, sign = [], ""
    for count, word in ((years, "year"), (months - 12 * years, "mon"), (days, "day")):
        if count:
            words.append(f"{sign if count > 0 else ''}{count} {word}" + ("" if count == 1 else "s"))
            sign = "+" if count < 0 else ""
    if microseconds or not words:
        words.append(("-" if microseconds < 0 else sign) + _clock(abs(microseconds)))
    return " ".join(words)
