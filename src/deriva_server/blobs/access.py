"""Who may do what with names and versions (pure).

Every resource has lists of its own; the ``subtree-`` lists of what encloses it count as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from deriva_server.errors import BadRequest, Forbidden, Unauthorized
from deriva_server.identity import Client

Acls = Mapping[str, Sequence[str]]

ACCESS_NAMES: Mapping[str, tuple[str, ...]] = {
    "namespace": (
        "owner",
        "create",
        "read",
        "subtree-owner",
        "subtree-create",
        "subtree-read",
        "subtree-update",
    ),
    "object": ("owner", "update", "read", "subtree-owner", "subtree-read"),
    "version": ("owner", "read"),
}
"""The lists that each kind of resource has."""


class Right(Enum):
    """What a caller may do: the own lists of the resource that suffice, and the lists of what encloses it."""

    READ = (("owner", "read"), ("subtree-owner", "subtree-read"))
    CREATE = (("owner", "create"), ("subtree-owner", "subtree-create"))
    UPDATE = (("owner", "update"), ("subtree-owner", "subtree-update"))
    OWN = (("owner",), ("subtree-owner",))


def may(client: Client, right: Right, own: Acls, enclosing: Iterable[Acls]) -> bool:
    """Whether a client has a right.

    Parameters
    ----------
    client : Client
        Who asks.
    right : Right
        What for.
    own : mapping
        Lists of the resource itself.
    enclosing : iterable of mapping
        Lists of everything around it; the object counts for its versions.
    """
    own_names, enclosing_names = right.value
    roles = client.roles
    if any(not roles.isdisjoint(own.get(name, ())) for name in own_names):
        return True
    return any(not roles.isdisjoint(acls.get(name, ())) for acls in enclosing for name in enclosing_names)


def demand(client: Client, right: Right, own: Acls, enclosing: Iterable[Acls], what: str) -> None:
    """Refuse a client that lacks a right.

    Raises
    ------
    Unauthorized, Forbidden
        For an anonymous and a known client.
    """
    if not may(client, right, own, enclosing):
        raise denial(client, f"{right.name.lower()} access to {what}")


def denial(client: Client, what: str) -> Unauthorized | Forbidden:
    """The error of a client that lacks a right."""
    return Unauthorized(what) if client.is_anonymous else Forbidden(f"{client.id} has no {what}")


def check_access_name(kind: str, access: str) -> None:
    """Refuse a list that a resource does not have.

    Raises
    ------
    BadRequest
        Naming those it has.
    """
    if access not in ACCESS_NAMES[kind]:
        raise BadRequest(f"{access!r} is no access list of a {kind}; it has {', '.join(ACCESS_NAMES[kind])}")


def owned_by(client: Client) -> dict[str, list[str]]:
    """Lists of a new resource."""
    return {"owner": [client.id]} if client.id is not None else {}
