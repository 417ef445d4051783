"""Errors of requests and deriva-py become errors of this library, here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from deriva_ml.ermrest.library import ConcurrentUpdate, DataPathException, ErmrestCatalogMutationError
from deriva_ml.ermrest.patience import attempts_at, reason_of
from deriva_ml.errors import (
    DerivaMLAuthenticationError,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLDataError,
    DerivaMLException,
    DerivaMLNotFoundError,
    DerivaMLReadOnlyError,
    DerivaMLValidationError,
)

FOREIGN = (requests.RequestException, ConcurrentUpdate, ErmrestCatalogMutationError, DataPathException)
"""What `translated` knows; anything else is a defect and passes."""

_PREFIX = "Request conflicts with state of server."
_MOST = 2000


def detail_of(response: requests.Response | None) -> str:
    """What the service said, in one or a few lines, without its boilerplate."""
    if response is None:
        return ""
    try:
        text = response.text
    except (requests.RequestException, RuntimeError):
        # The body was streamed and is gone.
        return response.reason or ""
    if "<html" in text[:200].lower():
        return response.reason or ""
    text = text.strip().removeprefix(_PREFIX).strip()
    _, marker, detail = text.partition("Detail:")
    said = re.sub(r"\s*CONTEXT:.*", "", (detail if marker else text).strip(), flags=re.DOTALL)
    return said[:_MOST].rstrip(".")


def translate(error: Exception, doing: str) -> DerivaMLException:
    """The error of this library that says the same.

    Parameters
    ----------
    error : exception
        One of `FOREIGN`.
    doing : str
        What was tried, to begin the message with, e.g. ``"Reading demo:Image on localhost"``.
    """
    if isinstance(error, ErmrestCatalogMutationError):
        return DerivaMLReadOnlyError(f"{doing} failed: a snapshot of a catalog cannot be changed.")
    if isinstance(error, DataPathException):
        reason: Any = error.reason
        return (
            translate(reason, doing)
            if isinstance(reason, FOREIGN)
            else DerivaMLDataError(f"{doing}: {error}")
        )
    if isinstance(error, ConcurrentUpdate):
        return DerivaMLConflictError(
            f"{doing} failed: it was changed by somebody else meanwhile; read it again."
        )
    response = getattr(error, "response", None)
    if isinstance(error, requests.HTTPError) and response is not None:
        return _of_status(response.status_code, detail_of(response), doing)
    if isinstance(error, requests.Timeout):
        return DerivaMLConnectionError(f"{doing} failed: the service did not answer in time. Try again.")
    reason, attempts = reason_of(error).rstrip("."), attempts_at(error)
    tried = f", {attempts} times" if attempts > 1 else ""
    return DerivaMLConnectionError(f"{doing} failed: {reason}{tried}. {_advice(reason)}")


def _advice(reason: str) -> str:
    """What to do about a connection that failed: the host was not found, nothing listens there, or it broke off."""
    if "refused" in reason:
        return (
            "Check that the server runs, and the port of its address; `deriva-ml serve` starts one for a folder. "
            "While it starts, try again in a moment."
        )
    if any(words in reason for words in ("closed connection", "reset by peer", "aborted")):
        return "The server was stopped, or the network broke off; try again when it is back."
    return "Check the host name and the network."


def _of_status(status: int, detail: str, doing: str) -> DerivaMLException:
    said = f": {detail}" if detail else ""
    if status == 401:
        return DerivaMLAuthenticationError(
            f"{doing} needs a login{said}. Log in with deriva-auth and try again."
        )
    if status == 403:
        return DerivaMLAuthenticationError(f"{doing} is not allowed{said}.")
    if status in (404, 410):
        return DerivaMLNotFoundError(f"{doing} found nothing{said}.")
    if status in (409, 412):
        return DerivaMLConflictError(f"{doing} was refused{said}.")
    if status in (400, 411, 413, 415, 416):
        return DerivaMLValidationError(f"{doing} was refused as malformed ({status}){said}.")
    if status == 504:
        return DerivaMLConnectionError(f"{doing} got no clear answer (504){said or ': try again'}.")
    if status in (502, 503):
        return DerivaMLConnectionError(
            f"{doing} failed because the service is busy or away ({status}){said}. Try again."
        )
    return DerivaMLDataError(f"{doing} failed with status {status}{said}.")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn foreign errors of the block into ours.

    Parameters
    ----------
    doing : str
        What is tried, to begin the message with.

    Examples
    --------
    >>> with translated("Creating table Subject"):
    ...     pass
    """
    try:
        yield
    except FOREIGN as error:
        raise translate(error, doing) from error
