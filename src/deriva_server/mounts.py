"""Which kind of file system a folder lies on."""

from __future__ import annotations

import re
from pathlib import Path

_NETWORK = frozenset(
    "nfs nfs4 cifs smb3 smbfs smb2 ncpfs afs coda 9p ceph lustre gpfs beegfs pvfs2 orangefs glusterfs panfs "
    "wekafs davfs ocfs2 gfs2 acfs vmhgfs prl_fs vboxsf drvfs".split()
)
_NETWORK_FUSE = frozenset(
    "sshfs rclone s3fs gcsfuse glusterfs ceph ceph-fuse davfs2 curlftpfs cifs smbnetfs mfs moosefs lizardfs "
    "juicefs seaweedfs goofys geesefs beegfs cvmfs2 hdfs vmhgfs-fuse mount-s3 blobfuse blobfuse2".split()
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


def network_file_system(place: Path) -> str | None:
    """Kind of the network file system that `place` lies on, None on a local one or when it cannot be known.

    Parameters
    ----------
    place : Path
        Absolute; need not exist yet.
    """
    if str(place).startswith(("\\\\", "//")):
        return "a shared folder"
    mounts = _mounts()
    return None if mounts is None else network_kind(mounts, place)


def file_system(place: Path) -> str | None:
    """Kind of the file system that an absolute path lies on, None when it cannot be known."""
    mounts = _mounts()
    return None if mounts is None else _mounted_at(mounts, place)[0] or None


def _mounts() -> str | None:
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def network_kind(mounts: str, place: Path) -> str | None:
    """As `network_file_system`, for the text of ``/proc/self/mountinfo``.

    A root of kind 9p is the own disk of a sandbox, not a share.

    Examples
    --------
    >>> network_kind("36 35 0:31 / /home rw - nfs4 server:/home rw", Path("/home/kim/store"))
    'nfs4'
    """
    kind, depth = _mounted_at(mounts, place)
    family, _, program = kind.partition(".")
    if kind == "9p" and depth == 1:
        return None
    if kind in _NETWORK or (family in ("fuse", "fuseblk") and program in _NETWORK_FUSE):
        return kind
    return None


def _mounted_at(mounts: str, place: Path) -> tuple[str, int]:
    """Kind of the file system that holds `place`, and the depth of the point where it is mounted."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, parted, right = line.partition(" - ")
        fields = left.split(" ")
        if not parted or len(fields) < 5:
            continue
        point = Path(_ESCAPE.sub(lambda code: chr(int(code.group(1), 8)), fields[4]))
        # later lines cover earlier ones at the same point
        if (place == point or point in place.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split(" ", 1)[0]
    return kind, best
