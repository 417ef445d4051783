"""How long a request is repeated that failed for a moment, and the line that says so."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import requests
from urllib3.exceptions import NewConnectionError

from deriva_ml import settings
from deriva_ml.errors import DerivaMLConnectionError

logger = logging.getLogger(__name__)

_LONGEST_PAUSE, _DOUBLINGS = 2.0, 30
_FEW = 3
"""Repetitions for a host that never answered, whose name may be wrong, and for failures that take long themselves."""

_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_BROKEN_OFF = (requests.exceptions.ChunkedEncodingError, requests.ConnectionError)
_PREAMBLE = re.compile(
    r"^(HTTPS?Connection(Pool)?\(.*?\): )?(Failed to establish a new connection: )?(\[Errno -?\d+\] )?"
)
_GONE, _BUSY, _UNCLEAR = 404, 503, frozenset({502, 504})

_Made = TypeVar("_Made")

_answered: set[str] = set()
_away: dict[str, object] = {}
"""Hosts that have answered this process; those of which was said that they do not at present."""

_latest: ContextVar[float] = ContextVar("_latest", default=math.inf)
"""When an act must end that is repeated as a whole: its requests are not repeated for longer."""

_GIVEN_UP, _DOUBTFUL = "deriva_ml_given_up", "deriva_ml_doubtful"
"""Attributes of failures and answers: after how many attempts it was given up; an earlier one may have been carried out."""


class Patience:
    """The repetitions of one request, or of one act of several.

    Parameters
    ----------
    host : str
        Who is asked, as in URLs.
    called : str, optional
        How messages call it.
    known : bool, optional
        Whether it is certain that there is such a host, also if it never answered before.
    """

    def __init__(self, host: str, *, called: str | None = None, known: bool = False) -> None:
        self._host, self._called, self._known = host.lower(), called or host, known
        self._count, self._start = 0, time.monotonic()

    @property
    def end(self) -> float:
        """Until when it is repeated, on the clock of `time.monotonic`."""
        return min(self._start + _seconds(settings.retry_attempts()), _latest.get())

    def again(self, why: BaseException | requests.Response) -> bool:
        """Wait for a moment, unless it was tried often enough; whether to try again."""
        most = settings.retry_attempts()
        if not (self._known or self._host in _answered):
            most = min(most, _FEW)
        left = self.end - time.monotonic()
        if self._count >= most or (self._count >= _FEW and left < 0):
            setattr(why, _GIVEN_UP, self._count + 1)
            return False
        if self._count == _FEW and _away.setdefault(self._host, self) is self:
            said = reason_of(why)
            logger.warning(
                "%s does not answer (%s); trying again for up to %.0f seconds.", self._called, said, left
            )
        time.sleep(_pause(self._count))
        self._count += 1
        return True

    def heard(self) -> None:
        """Note that there is such a host, be it busy."""
        _answered.add(self._host)

    def answered(self) -> None:
        """Note that there was an answer to what was asked."""
        if _away and _away.pop(self._host, None) is not None:
            logger.info("%s answers again.", self._called)


def has_answered(host: str) -> bool:
    """Whether this process knows that there is such a host."""
    return host.lower() in _answered


def attempts_at(error: BaseException) -> int:
    """How often a request was sent before its failure was reported."""
    return int(getattr(error, _GIVEN_UP, 1))


def was_given_up(error: BaseException | None) -> bool:
    """Whether a failure, or one behind it, came after a host had been asked again and again."""
    while error is not None and not hasattr(error, _GIVEN_UP):
        error = error.__cause__
    return error is not None


def _pause(attempt: int) -> float:
    return min(settings.retry_backoff() * 2.0 ** min(attempt, _DOUBLINGS), _LONGEST_PAUSE)


def _seconds(attempts: int) -> float:
    """How long that many repetitions wait in all."""
    doubled = min(attempts, _DOUBLINGS)
    return sum(map(_pause, range(doubled))) + (attempts - doubled) * _pause(_DOUBLINGS)


def reason_of(error: object) -> str:
    """The innermost reason of a chain of connection errors, without the object that urllib3 begins with."""
    if isinstance(error, requests.Response):
        return f"busy or away, status {error.status_code}"
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
    """Whether a request may have been carried out, though nothing was heard of it, and nobody gave up on it yet."""
    answer = getattr(error, "response", None)
    if hasattr(error, _GIVEN_UP) or hasattr(answer, _GIVEN_UP):
        return False
    if isinstance(error, requests.HTTPError):
        return getattr(answer, "status_code", None) in _UNCLEAR
    return isinstance(error, (*_BROKEN_OFF, requests.ReadTimeout)) and not was_never_sent(error)


def is_doubtful(answer: requests.Response | None) -> bool:
    """Whether an earlier attempt at a request may have been carried out, so that this answer may be that to a second."""
    return hasattr(answer, _DOUBTFUL)


def repeated_when_lost(host: str, act: Callable[[], _Made]) -> _Made:
    """Do what does no harm when it is done twice, again when the answer to one of its requests is lost.

    What the requests of the act repeat by themselves is not repeated here once more, and ends with it.
    """
    patience = Patience(host)
    while True:
        token = _latest.set(patience.end)
        try:
            return act()
        except DerivaMLConnectionError as error:
            cause = error.__cause__
            if cause is None or not was_lost(cause) or not patience.again(cause):
                raise
        finally:
            _latest.reset(token)


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
    body: Any = request.body
    start, doubtful = _start_of(body), False
    while True:
        outcome = _once(request.method or "GET", send, patience, stream)
        if isinstance(outcome, requests.Response) and not _may_pass(outcome.status_code, request.method):
            patience.answered()
            if doubtful:
                setattr(outcome, _DOUBTFUL, True)
                if request.method == "DELETE" and outcome.status_code == _GONE:
                    _take_for_done(outcome)
            return outcome
        doubtful = doubtful or _is_unclear(outcome)
        if start is None or not patience.again(outcome):
            if isinstance(outcome, requests.Response):
                return outcome
            raise outcome
        if isinstance(outcome, requests.Response):
            outcome.close()
        if hasattr(body, "seek"):
            body.seek(start)


def _once(
    method: str, send: Callable[[], requests.Response], patience: Patience, stream: bool
) -> requests.Response | requests.RequestException:
    """The answer to a request, or the failure after which it may be sent again; any other failure is raised."""
    try:
        answer = send()
        patience.heard()
        if not stream and method in _REPEATABLE:
            _ = answer.content
    except (*_BROKEN_OFF, requests.Timeout) as error:
        # The layers below tell nothing that the error does not.
        error.__context__, error.__cause__ = None, None
        if not (method in _REPEATABLE or was_never_sent(error)):
            raise
        return error
    return answer


def _take_for_done(answer: requests.Response) -> None:
    """Let an answer be the one that was lost: what shall be deleted is gone, by an earlier attempt or otherwise."""
    answer.status_code, answer.reason, answer._content = 204, "No Content", b""


def _is_unclear(outcome: requests.Response | requests.RequestException) -> bool:
    if isinstance(outcome, requests.Response):
        return outcome.status_code in _UNCLEAR
    return not was_never_sent(outcome)


def _may_pass(status: int, method: str | None) -> bool:
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
