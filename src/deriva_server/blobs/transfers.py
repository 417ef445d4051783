"""Uploads in chunks: any order, in parallel, resumable after a restart of either side."""

from __future__ import annotations

import time
from dataclasses import dataclass

from deriva_server.blobs.access import Right, demand, owned_by
from deriva_server.blobs.adding import add_content, writable_object
from deriva_server.blobs.backend import Source, Staged
from deriva_server.blobs.directory import Directory, Place, find_place
from deriva_server.blobs.metadata import verified
from deriva_server.blobs.versions import Content, new_id
from deriva_server.errors import BadRequest, Conflict, NotFound, ServiceError
from deriva_server.identity import Client
from deriva_server.sql import objects
from deriva_server.sql.dialect import Connection
from deriva_server.sql.objects import OBJECT, Job, Metadata

_BEYOND = 1 << 63


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a client announces of an upload.

    Parameters
    ----------
    chunk_length : int
        Bytes of every chunk but the last.
    length : int
        Bytes in all.
    metadata : Metadata
        Given digests are verified at the end.
    """

    chunk_length: int
    length: int
    metadata: Metadata

    def __post_init__(self) -> None:
        if not (0 < self.chunk_length < _BEYOND and 0 <= self.length < _BEYOND):
            raise BadRequest(
                "chunk-length must be positive, content-length not negative, and both below 2^63"
            )


class Transfers:
    """Operations on unfinished uploads.

    Parameters
    ----------
    directory : Directory
        Where jobs are known, and the bytes behind them.
    """

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.backend = directory.backend

    def create(self, client: Client, path: str, announced: Announcement, *, parents: bool = False) -> Job:
        """Begin an upload to an object, which is made when its name is free."""

        def work(connection: Connection) -> Job:
            place = writable_object(connection, client, path, parents=parents)
            job = Job(
                new_id(),
                place.living().id,
                announced.chunk_length,
                announced.length,
                announced.metadata,
                owned_by(client),
                int(time.time()),
            )
            objects.add_job(connection, job)
            return job

        return self.directory.write(work)

    def find(self, client: Client, path: str, id_: str) -> Job:
        """An upload of the caller.

        Raises
        ------
        NotFound
            If there is none, it is finished, or it was given up.
        """
        with self.directory.read() as connection:
            return _find(connection, client, path, id_)[1]

    def list_jobs(self, client: Client, path: str) -> list[str]:
        """Ids of the unfinished uploads of an object."""
        with self.directory.read() as connection:
            place = find_place(connection, path)
            name = place.living(OBJECT)
            place.demand(client, Right.OWN)
            return [job.id for job in objects.jobs_of(connection, [name.id])]

    def put_chunk(self, job: Job, index: int, source: Source, md5: str | None) -> None:
        """Take one chunk; sent again it replaces the former.

        Raises
        ------
        Conflict
            If the upload has no such chunk, or the chunk another size.
        BadRequest
            If the bytes are not those that were announced.
        """
        if index >= job.chunks:
            raise Conflict(f"the upload has {job.chunks} chunks, there is no chunk {index}")
        if source.length != job.size(index):
            raise Conflict(f"chunk {index} must have {job.size(index)} bytes, not {source.length}")
        self.backend.put_part(job.id, index, index * job.chunk_length, source, md5)

    def finish(self, client: Client, path: str, id_: str) -> Content:
        """Make a version of an upload.

        Raises
        ------
        Conflict
            If chunks are missing, or the content is not the announced one; the upload stays.
        """
        job = self._check_finish(client, path, id_)
        staged = self.backend.assemble(job.id, job.length)
        try:
            if staged.digests.length != job.length:
                raise Conflict(f"{staged.digests.length} of {job.length} bytes have arrived")
            described = verified(job.metadata, staged.digests, Conflict)
        except ServiceError:
            staged.discard()
            raise

        def work(connection: Connection) -> tuple[Content, list[Staged]]:
            place, _ = _find(connection, client, path, id_)
            objects.delete_job(connection, job.id)
            return add_content(connection, client, place, staged, described), [staged]

        content = self.directory.add(work, [staged])
        self.backend.abandon(job.id)
        return content

    def _check_finish(self, client: Client, path: str, id_: str) -> Job:
        job = self.find(client, path, id_)
        arrived = self.backend.parts(job.id)
        missing = job.chunks - len(arrived)
        if missing:
            first = next(index for index in range(job.chunks) if index not in arrived)
            raise Conflict(f"{missing} of {job.chunks} chunks have not arrived, the first is chunk {first}")
        return job

    def cancel(self, client: Client, path: str, id_: str) -> None:
        """Give an upload up."""

        def work(connection: Connection) -> None:
            place = find_place(connection, path)
            job = objects.find_job(connection, place.living(OBJECT).id, id_)
            if job is None:
                raise NotFound(f"upload {id_} of {path}")
            demand(client, Right.OWN, job.acls, place.around, f"upload {id_}")
            objects.delete_job(connection, id_)

        self.directory.write(work)
        self.backend.abandon(id_)


def _find(connection: Connection, client: Client, path: str, id_: str) -> tuple[Place, Job]:
    place = find_place(connection, path)
    job = objects.find_job(connection, place.living(OBJECT).id, id_)
    if job is None:
        raise NotFound(f"upload {id_} of {path}")
    demand(client, Right.OWN, job.acls, (), f"upload {id_}")
    return place, job
