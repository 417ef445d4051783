"""How long a request is repeated that failed for a moment, and the line that says so."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from urllib3.exceptions import NewConnectionError

from deriva_ml import settings
from deriva_ml.errors import DerivaMLConnectionError

_log = logging.getLogger(__name__)

_LONGEST_PAUSE = 2.0
_FEW = 3
"""Repetitions for a host that never answered, whose name may be wrong, and for failures that take long themselves."""

_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_BROKEN_OFF = (requests.exceptions.ChunkedEncodingError, requests.ConnectionError)
_PREAMBLE = re.compile(
    r"^(HTTPS?Connection(Pool)?\(.*?\): )?(Failed to establish a new connection: )?(\[Errno -?\d+\] )?"
)
_BUSY, _UNCLEAR = 503, frozenset({502, 504})

_Made = TypeVar("_Made")

_answered: set[str] = set()
_away: dict[str, object] = {}
"""Hosts that have answered this process; those of which was said that they do not at present."""


class Patience:
    """The repetitions of one request.

    Parameters
    ----------
    host : str
        Who is asked.
    known : bool, optional
        Whether it is certain that there is such a host; by default, whether it answered before.
    """

    def __init__(self, host: str, *, known: bool | None = None) -> None:
        most = settings.retry_attempts()
        self._host, self._count = host, 0
        self._most = most if known or host in _answered else min(most, _FEW)
        self._seconds = sum(map(_pause, range(most)))
        self._end = time.monotonic() + self._seconds

    def again(self, why: object) -> bool:
        """Wait for a moment, unless it was tried often enough; whether to try again."""
        if self._count >= self._most or (self._count >= _FEW and time.monotonic() > self._end):
            return False
        if self._count == _FEW and _away.setdefault(self._host, self) is self:
            _log.warning(
                "%s does not answer (%s); trying again for up to %.0f seconds.",
                self._host,
                reason_of(why),
                self._seconds,
            )
        time.sleep(_pause(self._count))
        self._count += 1
        return True

    def answered(self) -> None:
        """Note that there was an answer."""
        _answered.add(self._host)
        if _away and _away.pop(self._host, None) is not None:
            _log.info("%s answers again.", self._host)


def _pause(attempt: int) -> float:
    return min(settings.retry_backoff() * 2.0**attempt, _LONGEST_PAUSE)


def reason_of(error: object) -> str:
    """The innermost reason of a chain of connection errors, without the object that urllib3 begins with."""
    while isinstance(error, BaseException):
        inner = getattr(error, "reason", None) or next(
            (arg for arg in error.args if isinstance(arg, Exception)), None
        )
        if not isinstance(inner, BaseException):
            said = str(error) or type(error).__name__
            return _PREAMBLE.sub("", said)
        error = inner
    return str(error)


def was_never_sent(error: BaseException) -> bool:
    """Whether a request failed before the host heard of it."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def was_lost(error: BaseException | None) -> bool:
    """Whether a request may have been carried out, though nothing was heard of it."""
    if isinstance(error, requests.HTTPError):
        return getattr(error.response, "status_code", None) in _UNCLEAR
    return isinstance(error, _BROKEN_OFF) and not was_never_sent(error)


def repeated_when_lost(host: str, act: Callable[[], _Made]) -> _Made:
    """Do what does no harm when it is done twice, again when the answer to one of its requests is lost."""
    patience = Patience(host)
    while True:
        try:
            return act()
        except DerivaMLConnectionError as error:
            if not was_lost(error.__cause__) or not patience.again(error.__cause__):
                raise


def send_patiently(
    request: requests.PreparedRequest,
    send: Callable[[], requests.Response],
    patience: Patience,
    *,
    stream: bool,
) -> requests.Response:
    """Send a request, and again while that may help and can do no harm; unless it is streamed, the answer is read.

    Parameters
    ----------
    request : PreparedRequest
    send : callable
        Sends it once.
    patience : Patience
    stream : bool
        Whether the body of the answer is read later.
    """
    method = request.method or "GET"
    body: Any = request.body
    start = _start_of(body)
    while True:
        answer, failure = None, None
        try:
            answer = send()
            if not stream and method in _REPEATABLE:
                _ = answer.content
            if not _may_pass(answer.status_code, method):
                patience.answered()
                return answer
        except (*_BROKEN_OFF, requests.Timeout) as error:
            failure = error
            # The layers below tell nothing that the error does not.
            failure.__context__, failure.__cause__ = None, None
            if not (method in _REPEATABLE or was_never_sent(error)):
                raise
        if start is None or not patience.again(failure or _status(answer)):
            if answer is None or failure is not None:
                raise failure or AssertionError("unreachable")
            return answer
        if answer is not None:
            answer.close()
        if hasattr(body, "seek"):
            body.seek(start)


def _status(answer: requests.Response | None) -> str:
    return "" if answer is None else f"busy or away, status {answer.status_code}"


def _may_pass(status: int, method: str) -> bool:
    """Whether an answer says that the same request may be answered otherwise in a moment, and does no harm."""
    return status == _BUSY or (status in _UNCLEAR and method in _REPEATABLE)


def _start_of(body: Any) -> int | None:
    """Where a body begins; None if it cannot be sent twice."""
    if body is None or isinstance(body, str | bytes | bytearray):
        return 0
    try:
        return int(body.tell())
    except (AttributeError, OSError):
        return None
