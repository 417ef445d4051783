"""The errors of the service, each with the HTTP status it becomes.

::

    ServiceError
    ├── BadRequest (ValueError)              400  malformed syntax, body or value
    │   └── TimeLimit                        400  a query ran longer than allowed
    ├── Unauthorized (PermissionError)       401  anonymous caller
    ├── Forbidden (PermissionError)          403  known caller without the right
    ├── NotFound (LookupError)               404  the addressed resource does not exist
    ├── MethodNotAllowed                     405
    ├── Conflict                             409  the request does not fit the state of the catalog
    ├── LengthRequired                       411
    ├── PreconditionFailed                   412
    ├── TooLarge                             413
    ├── UnsupportedMediaType                 415
    ├── RangeNotSatisfiable                  416
    ├── NotSupported                         501
    ├── Busy                                 503  try again: the store is locked or unreachable
    ├── Unclear                              504  whether a change was made is not known
    ├── StorageFull (OSError)                507
    └── StorageUnusable (OSError)            500  a database cannot be opened, read or written
    DeploymentError                               a folder that cannot be served (raised before any request)
"""

from __future__ import annotations


class ServiceError(Exception):
    """An answer other than success; `status` is its HTTP status, `headers` go with the answer."""

    status: int = 500
    sentence: str = "The server failed to answer the request."

    def __init__(self, detail: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers

    def text(self) -> str:
        """Body of the error response, one or more lines."""
        text = f"{self.sentence} Detail: {self.detail}\n" if self.detail else f"{self.sentence}\n"
        # What was wrong may be quoted, and be half of a surrogate pair.
        return text.encode("utf-8", "backslashreplace").decode()


class BadRequest(ServiceError, ValueError):
    """Malformed syntax, body or value."""

    status = 400
    sentence = "The request is malformed."


class TimeLimit(BadRequest):
    """A query ran longer than the server allows; clients search for this phrase."""

    sentence = "Query run time limit exceeded."


class Unauthorized(ServiceError, PermissionError):
    """An anonymous caller lacks the right."""

    status = 401
    sentence = "Access requires authentication."


class Forbidden(ServiceError, PermissionError):
    """A known caller lacks the right."""

    status = 403
    sentence = "Access is forbidden."


class NotFound(ServiceError, LookupError):
    """The addressed resource does not exist."""

    status = 404
    sentence = "The requested resource was not found."


class MethodNotAllowed(ServiceError):
    """The resource exists but does not support the method."""

    status = 405
    sentence = "The method is not supported by this resource."


class Conflict(ServiceError):
    """The request does not fit the state of the server; clients strip this sentence."""

    status = 409
    sentence = "Request conflicts with state of server."


class LengthRequired(ServiceError):
    """An upload came without Content-Length."""

    status = 411
    sentence = "Content-Length is required."


class PreconditionFailed(ServiceError):
    """If-Match or If-None-Match did not hold."""

    status = 412
    sentence = "A precondition failed."


class TooLarge(ServiceError):
    """The body exceeds a limit."""

    status = 413
    sentence = "The request body is too large."


class UnsupportedMediaType(ServiceError):
    """The Content-Type is not one the resource reads."""

    status = 415
    sentence = "The media type is not supported."


class RangeNotSatisfiable(ServiceError):
    """The requested range lies outside the content."""

    status = 416
    sentence = "The requested range cannot be satisfied."


class NotSupported(ServiceError):
    """A part of HTTP that this resource does not offer."""

    status = 501
    sentence = "The request is not supported."


class Busy(ServiceError):
    """The store is locked or unreachable; the same request may succeed later."""

    status = 503
    sentence = "The service is busy, try again."


class Unclear(ServiceError):
    """The connection to the database was lost at the very moment in which a change was made permanent."""

    status = 504
    sentence = "Whether the request was carried out is not known."


class StorageFull(ServiceError, OSError):
    """The disk (or object store) has no room."""

    status = 507
    sentence = "There is no room left on the storage."


class StorageUnusable(ServiceError, OSError):
    """A database of the service cannot be opened, read or written; waiting does not help."""

    status = 500
    sentence = "The storage of the service cannot be used."


class DeploymentError(Exception):
    """A folder that cannot be opened as a deployment; says what is wrong and the way out."""
