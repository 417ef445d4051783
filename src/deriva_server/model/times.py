"""Canonical text of dates, times and intervals."""

from __future__ import annotations

import datetime as dt
import re
from fractions import Fraction

_DATE = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<fraction>\d+))?)?"
_OFFSET = r"\s*(?P<offset>Z|z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?(?::?\d{2})?)?"
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
    r"\s*(?:(?P<sign>[+-])?(?P<h>\d+):(?P<m>\d{1,2})(?::(?P<s>\d{1,2}(?:\.\d+)?))?"
    r"|(?P<number>[+-]?\d+(?:\.\d*)?|[+-]?\.\d+)\s*(?P<unit>[A-Za-z]*))"
)
_ISO_DATE = {"Y": "year", "M": "month", "W": "week", "D": "day"}
_ISO_TIME = {"H": "hour", "M": "minute", "S": "second"}


def shorten(text: str) -> str:
    """Drop the trailing zeros of a stored timestamp's fraction, and an empty fraction.

    >>> shorten("2020-01-31T01:02:03.450000+00:00"), shorten("2020-01-31T01:02:03.000000")
    ('2020-01-31T01:02:03.45+00:00', '2020-01-31T01:02:03')
    """
    return text[:19] + text[19:26].rstrip("0").rstrip(".") + text[26:]


def _canonical(text: str) -> str | None:
    """The canonical timestamp, without offset, where `text` differs from it in the shortness of its end only."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    found = moment.replace(tzinfo=None).isoformat(timespec="microseconds")
    if text[:10] != found[:10] or text[10:11] not in ("T", " ") or text[11:19] != found[11:19]:
        return None
    whole = text[19:20] != "."
    if not whole and text[19:26] != found[19:26]:
        return None
    return found if text[19 if whole else 26 :] in ("", "Z", "+00:00") else None


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
    moment = _moment(match) - dt.timedelta(seconds=_offset(match["offset"]))
    return moment.isoformat(timespec="microseconds") + "+00:00"


def time(text: str) -> str:
    """Canonical time of day."""
    return _clock(_fit(_TIME, text))


def timetz(text: str) -> str:
    """Canonical time of day with its offset, UTC when missing."""
    match = _fit(_TIME, text)
    seconds = _offset(match["offset"])
    hours, minutes = divmod(abs(seconds) // 60, 60)
    sign = "-" if seconds < 0 else "+"
    return f"{_clock(match)}{sign}{hours:02d}" + (f":{minutes:02d}" if minutes else "")


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
    if match["hour"] is None:
        return day
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second)):
        raise ValueError(match.string)
    return day + dt.timedelta(hours=hour, minutes=minute, seconds=second, microseconds=_fraction(match))


def _clock(match: re.Match[str]) -> str:
    second, microsecond = int(match["second"] or 0), _fraction(match)
    moment = dt.datetime(2000, 1, 1, int(match["hour"]), int(match["minute"]), second)
    moment += dt.timedelta(microseconds=microsecond)
    return moment.strftime("%H:%M:%S") + (
        f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    )


def _offset(text: str | None) -> int:
    if not text or text[0] not in "+-":
        return 0
    digits = text[1:].replace(":", "")
    digits = digits.zfill(2) if len(digits) < 3 else digits.zfill(4 if len(digits) < 5 else 6)
    parts = [int(digits[at : at + 2]) for at in range(0, len(digits), 2)]
    seconds = sum(part * scale for part, scale in zip(parts, (3600, 60, 1), strict=False))
    if seconds >= 16 * 3600 or any(part > 59 for part in parts[1:]):
        raise ValueError(text)
    return seconds if text[0] == "+" else -seconds


def _interval_parts(text: str) -> tuple[int, int, int]:
    words = text.strip()
    if words[:1] in ("P", "p"):
        words = _from_iso(words)
    ago = words.lower().endswith(" ago")
    words = words[:-4] if ago else words
    totals: dict[str, Fraction] = {"month": Fraction(0), "day": Fraction(0), "us": Fraction(0)}
    at = 0
    if not words.strip():
        raise ValueError(text)
    while at < len(words.rstrip()):
        match = _PART.match(words, at)
        if match is None:
            raise ValueError(text)
        at = match.end()
        if match["h"] is not None:
            seconds = int(match["h"]) * 3600 + int(match["m"]) * 60 + Fraction(match["s"] or 0)
            totals["us"] += (-seconds if match["sign"] == "-" else seconds) * 1_000_000
            continue
        kind, scale = _UNITS.get((match["unit"] or "s").lower(), ("", 0))
        if not kind:
            raise ValueError(text)
        totals[kind] += Fraction(match["number"]) * scale
    sign = -1 if ago else 1
    months = int(totals["month"])
    days_left = totals["day"] + (totals["month"] - months) * 30
    days = int(days_left)
    microseconds = round(totals["us"] + (days_left - days) * 86_400_000_000)
    # What PostgreSQL can keep.
    if max(abs(months), abs(days)) > _MOST or abs(microseconds) > _MOST_MICROSECONDS:
        raise ValueError(text)
    return sign * months, sign * days, sign * microseconds


def _from_iso(text: str) -> str:
    day_part, _, time_part = text[1:].upper().partition("T")
    words = []
    for part, units in ((day_part, _ISO_DATE), (time_part, _ISO_TIME)):
        consumed = 0
        for match in re.finditer(r"([+-]?\d+(?:\.\d+)?)([A-Z])", part):
            if match[2] not in units:
                raise ValueError(text)
            words.append(f"{match[1]} {units[match[2]]}")
            consumed += len(match[0])
        if consumed != len(part):
            raise ValueError(text)
    return " ".join(words)


def _interval_text(months: int, days: int, microseconds: int) -> str:
    words = []
    years, months = (
        (abs(months) // 12) * (1 if months >= 0 else -1),
        (abs(months) % 12) * (1 if months >= 0 else -1),
    )
    for count, word in ((years, "year"), (months, "mon"), (days, "day")):
        if count:
            words.append(f"{count} {word}" + ("" if count == 1 else "s"))
    if microseconds or not words:
        seconds, rest = divmod(abs(microseconds), 1_000_000)
        clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        clock += f".{rest:06d}".rstrip("0") if rest else ""
        words.append(("-" if microseconds < 0 else "") + clock)
    return " ".join(words)
