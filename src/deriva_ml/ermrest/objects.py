"""Bytes of files to and from the object store: verified, never doubled, never half there."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote, urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from deriva_ml.copies import partial_of
from deriva_ml.ermrest import arrivals
from deriva_ml.ermrest.arrivals import local_path as local_path
from deriva_ml.ermrest.bindings import session_config
from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.failures import translated
from deriva_ml.ermrest.patience import Patience, repeated_when_lost, was_lost
from deriva_ml.errors import (
    DerivaMLChecksumError,
    DerivaMLConnectionError,
    DerivaMLNotFoundError,
    DerivaMLValidationError,
)

ASK_FIRST = 1024 * 1024
"""From this size on the store is asked whether it has the content before the bytes are sent."""

Progress = Callable[[int], object]
_SLOWEST = 20e6
"""Bytes in a second that a service reads and hashes at least, when an upload in pieces is finished."""
_UNLESS_THERE = "If-None-Match"


class Taken(Protocol):
    """Bytes that an embedded store has taken in before their name is known."""

    @property
    def md5(self) -> str:
        """In hex."""

    @property
    def length(self) -> int:
        """Number of bytes."""

    def discard(self) -> None:
        """Give them up; does nothing once they belong to an object."""


@dataclass(frozen=True)
class Upload:
    """One file to put.

    Parameters
    ----------
    path : Path
    url : str
        Host-relative URL of the object, e.g. ``/hatrac/Image/<md5>.<name>``.
    md5 : str
        In hex.
    sha256 : str, optional
        In hex.
    filename : str, optional
        Name under which a browser saves it.
    content_type : str, optional
    taken : Taken, optional
        The bytes, where the store has them already.
    """

    path: Path
    url: str
    md5: str
    sha256: str | None = None
    filename: str | None = None
    content_type: str | None = None
    taken: Taken | None = None


def object_url(*parts: str) -> str:
    """URL of an object from the parts of its name, each escaped.

    >>> object_url("Image", "0123.my file.png")
    '/hatrac/Image/0123.my%20file.png'
    """
    return "/hatrac/" + "/".join(quote(part, safe="") for part in parts)


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()


def _headers(upload: Upload) -> dict[str, str]:
    headers = {
        "Content-MD5": _base64(upload.md5),
        "Content-Type": upload.content_type or "application/octet-stream",
    }
    if upload.sha256:
        headers["Content-SHA256"] = _base64(upload.sha256)
    if upload.filename:
        name = quote(re.sub(r"[/\\]", "_", upload.filename), safe="")
        headers["Content-Disposition"] = f"filename*=UTF-8''{name}"
    return headers


# Putting -----------------------------------------------------------------------------------------------------------


def put(
    connection: Connection,
    path: Path,
    url: str,
    *,
    md5: str,
    sha256: str | None = None,
    content_type: str | None = None,
    filename: str | None = None,
    progress: Progress | None = None,
) -> str:
    """Put the bytes of a file into the object store; nothing is sent when the same content is there already.

    Parameters
    ----------
    connection : Connection
    path : Path
    url : str
        Host-relative URL of the object; namespaces on the way are made.
    md5, sha256 : str
        In hex; the store refuses bytes that differ.
    content_type, filename : str, optional
    progress : callable, optional
        Called with numbers of bytes that are done.

    Returns
    -------
    str
        The URL to record.

    Raises
    ------
    DerivaMLNotFoundError
        If the file is gone.
    DerivaMLChecksumError
        If the file is not what its checksum says.
    """
    put_upload(connection, Upload(Path(path), url, md5, sha256, filename, content_type), progress)
    return url


def put_upload(
    connection: Connection, upload: Upload, progress: Progress | None = None, *, ask_first: bool = False
) -> None:
    """As `put`; `ask_first` when the store is likely to have the content."""
    try:
        size = upload.path.stat().st_size
    except OSError as error:
        raise DerivaMLNotFoundError(
            f"{upload.path} cannot be uploaded: {error.strerror or error}."
        ) from error
    chunk = connection.site.chunk_size
    with translated(_uploading(upload)):
        if upload.taken is not None and _put_taken(connection, upload, upload.taken):
            sent = True
        elif (ask_first or size >= ASK_FIRST) and _has(connection, upload):
            sent = False
        elif size > chunk and not connection.is_embedded:
            sent = _put_chunks(connection, upload, size, progress)
        else:
            sent = _put_whole(connection, upload)
    if progress is not None and not (sent and size > chunk and not connection.is_embedded):
        progress(size)


def _uploading(upload: Upload) -> str:
    return f"Uploading {upload.path} to {upload.url}"


def has(connection: Connection, url: str, md5: str) -> bool:
    """Whether the object store has an object of that name with that content (MD5 in hex)."""
    with translated(f"Asking for {url}"):
        return _has(connection, Upload(Path(), url, md5))


def _has(connection: Connection, upload: Upload) -> bool:
    try:
        answer = connection.store.head(upload.url)
    except requests.HTTPError as error:
        # 409 is an object without any version yet.
        if error.response.status_code in (404, 409):
            return False
        raise
    return bool(answer.headers.get("Content-MD5") == _base64(upload.md5))


def take_in(connection: Connection, path: Path, progress: Progress | None = None) -> Taken | None:
    """Let an embedded store take in a large file while its checksum is computed; None where that cannot be.

    The file is read once then, though its name contains its checksum; see `Upload.taken`.

    Parameters
    ----------
    connection : Connection
    path : Path
    progress : callable, optional
        Called with numbers of bytes that are done.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    transport = connection.site.transport
    if transport is None:
        return None
    with path.open("rb", buffering=0) as file:
        length = os.fstat(file.fileno()).st_size
        return transport.take_in(file, length, progress) if length >= ASK_FIRST else None


def _put_taken(connection: Connection, upload: Upload, taken: Taken) -> bool:
    """Name bytes that the store has; False when the name is not free."""
    transport: Any = connection.site.transport
    return bool(transport.put_objects([(*new_object(connection, upload), taken, taken.length)]) == [201])


def _put_whole(connection: Connection, upload: Upload) -> bool:
    """One request; when the name is taken, by other content, a new version."""
    path, headers = new_object(connection, upload)
    for _ in range(2):
        with upload.path.open("rb") as file:
            answer = _send_file(connection, path, file, headers)
        if answer.status_code == 412 and _has(connection, upload):
            return False
        if answer.status_code != 412:
            _check_upload(answer, upload)
            return True
        del headers[_UNLESS_THERE]
    raise DerivaMLConnectionError(f"Uploading {upload.path} failed: {upload.url} changes all the time.")


def new_object(connection: Connection, upload: Upload) -> tuple[str, dict[str, str]]:
    """Path and headers of the request that puts a whole file under a name that is free."""
    return f"{upload.url}?parents=true", {**_headers(upload), **_context(connection), _UNLESS_THERE: "*"}


def _send(connection: Connection, method: str, path: str, **options: Any) -> requests.Response:
    """A request to the object store whose answer is judged by the caller."""
    session: Any = connection.store._session
    headers = {**options.pop("headers", {}), **_context(connection)}
    answer: requests.Response = session.request(method, connection.url(path), headers=headers, **options)
    return answer


def _context(connection: Connection) -> dict[str, str]:
    """What the server's log is told of who asks."""
    return {"deriva-client-context": connection.store.dcctx.encoded()}


def _send_file(
    connection: Connection, path: str, file: BinaryIO, headers: dict[str, str]
) -> requests.Response:
    if not connection.is_embedded:
        return _send(connection, "PUT", path, data=file, headers=headers)
    length = {"Content-Length": str(os.fstat(file.fileno()).st_size)}
    return _send_in_process(connection, "PUT", path, {**headers, **length}, file)


def _send_in_process(
    connection: Connection, method: str, path: str, headers: dict[str, str], body: BinaryIO | None = None
) -> requests.Response:
    """A request without cookies, redirects and credentials: in process they mean nothing, and preparing them takes time."""
    request = requests.PreparedRequest()
    request.method, request.url, request.hooks = method, connection.url(path), {"response": []}
    request.headers = CaseInsensitiveDict(headers)
    request.body = body  # type: ignore[assignment]  # requests takes files, its annotation does not say so
    session: Any = connection.store._session
    answer: requests.Response = session.send(request, stream=method == "GET")
    return answer


def _patience(connection: Connection, size: int) -> tuple[float, float]:
    """Seconds to wait for a connection, and for an answer before which all bytes may be read again."""
    connecting, reading = session_config(timeout=connection.site.timeout)["timeout"]
    return connecting, reading + size / _SLOWEST


def _check_upload(answer: requests.Response, upload: Upload) -> None:
    if answer.status_code == 400 and "md5" in answer.text.lower():
        raise DerivaMLChecksumError(
            f"{upload.path} was changed after it was registered: its MD5 is not {upload.md5}."
        )
    if answer.status_code >= 400:
        raise requests.HTTPError(f"status {answer.status_code}", response=answer)


def _put_chunks(connection: Connection, upload: Upload, size: int, progress: Progress | None) -> bool:
    """Open an upload job, send all pieces, and finish it."""
    store, chunk = connection.store, connection.site.chunk_size
    job = _begin_upload(connection, upload, size)
    try:
        with upload.path.open("rb") as file:
            for number in range(-(-size // chunk)):
                data = file.read(chunk)
                kind = {"Content-Type": "application/octet-stream"}
                answer = store.put(f"{job}/{number}", data=data, headers=kind)
                # Answers are kept until the next collection of cycles; the bytes must not be.
                answer.request.body = None
                if progress is not None:
                    progress(len(data))
        _finish_upload(connection, upload, job, size)
    except BaseException:
        with contextlib.suppress(requests.RequestException):
            store.delete(job)
        raise
    return True


def _begin_upload(connection: Connection, upload: Upload, size: int) -> str:
    """Path of a new upload job."""
    wanted: dict[str, Any] = {"chunk-length": connection.site.chunk_size, "content-length": size}
    wanted |= {name.lower(): value for name, value in _headers(upload).items()}

    def begin() -> str:
        with translated(_uploading(upload)):
            answer = _send(connection, "POST", f"{upload.url};upload?parents=true", json=wanted)
            _check_upload(answer, upload)
        return urlsplit(answer.headers["Location"]).path

    # A job whose answer was lost has no pieces, and costs nothing: a new one does as well.
    return repeated_when_lost(connection.authority, begin)


def _finish_upload(connection: Connection, upload: Upload, job: str, size: int) -> None:
    """Make an object of all pieces; an attempt whose answer was lost may have done so, or be about to."""
    patience, is_doubtful = Patience(connection.authority), False
    while not (is_doubtful and _has(connection, upload)):
        answer = None
        try:
            answer = _send(connection, "POST", job, timeout=_patience(connection, size))
            _check_upload(answer, upload)
        except requests.RequestException as error:
            is_passing = is_doubtful and answer is not None and answer.status_code in (404, 409)
            if not (is_passing or was_lost(error)) or not patience.again(error):
                if answer is not None and answer.status_code == 409:
                    raise DerivaMLChecksumError(
                        f"{upload.path} was changed while it was uploaded: its MD5 is not {upload.md5}."
                    ) from error
                raise
            is_doubtful = True
        else:
            return


# Fetching ----------------------------------------------------------------------------------------------------------


def fetch(
    connection: Connection,
    url: str,
    target: Path,
    *,
    md5: str | None = None,
    length: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch the bytes of an asset; `target` appears only when they are complete and right.

    Parameters
    ----------
    connection : Connection
    url : str
        URL of an asset row: host-relative, absolute, or of a file on this disk.
    target : Path
        Its folder is made; a file that is there is replaced.
    md5 : str, optional
        Expected MD5 in hex.
    length : int, optional
        Expected number of bytes.
    progress : callable, optional
        Called with numbers of bytes that arrived; a negative one takes back what was lost with a connection.

    Raises
    ------
    DerivaMLNotFoundError
        If there is nothing at `url`.
    DerivaMLChecksumError
        If the bytes are not the expected ones.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(target)
    try:
        local = local_path(url)
        if local is not None:
            found = arrivals.copy_local(local, url, partial)
        else:
            with translated(f"Fetching {url}"):
                found = _receive(connection, url, partial, progress)
        arrivals.verify(url, found, md5, length)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return target


def _open(connection: Connection, url: str) -> requests.Response:
    """A response whose body is still to be read; other hosts never see our credentials."""
    parts = urlsplit(url)
    if parts.scheme not in ("", "http", "https"):
        raise DerivaMLValidationError(f"{url} cannot be fetched: {parts.scheme}: is no address of bytes.")
    own = not parts.netloc or parts.netloc == connection.authority
    if own:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        if connection.is_embedded:
            answer = _send_in_process(connection, "GET", path, _context(connection))
        else:
            answer = _send(connection, "GET", path, stream=True)
    else:
        answer = requests.get(url, stream=True, timeout=(6, 63))
    if answer.status_code >= 400:
        raise requests.HTTPError(f"status {answer.status_code}", response=answer)
    return answer


def _receive(connection: Connection, url: str, partial: Path, progress: Progress | None) -> arrivals.Found:
    """Fetch into `partial`, from the beginning again when the connection is lost on the way."""
    patience = Patience(connection.authority)
    while True:
        with contextlib.closing(_open(connection, url)) as answer:
            try:
                return arrivals.store(answer, url, partial, progress)
            except requests.RequestException as error:
                if not was_lost(error) or not patience.again(error):
                    raise
        if progress is not None:
            progress(-partial.stat().st_size)
