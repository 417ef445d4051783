"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EVERYBODY = "*"
"""The role that every caller has, the anonymous one included."""

ADMIN = "admin"
"""The role that may create catalogs and owns the root of the object store."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group that a caller belongs to; without a `display_name` people are not shown it."""

    id: str
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """One caller, with the attributes that access lists are matched against.

    Parameters
    ----------
    id : str or None
        What is written to RCB and RMB; None for an anonymous caller.
    display_name, full_name, email : str or None
        As shown to people.
    attributes : tuple of str or Group
        The groups of the caller, besides its own id; a bare id is its own display name.
    """

    id: str | None = None
    display_name: str | None = None
    full_name: str | None = None
    email: str | None = None
    attributes: tuple[str | Group, ...] = ()

    @property
    def is_anonymous(self) -> bool:
        """Whether no identity is known."""
        return self.id is None

    @property
    def roles(self) -> frozenset[str]:
        """Everything an access list may name this caller by."""
        own = () if self.id is None else (self.id,)
        return frozenset((*own, *(group.id for group in self.groups), EVERYBODY))

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of the caller."""
        return tuple(
            item if isinstance(item, Group) else Group(item, item)
            for item in self.attributes
            if item != self.id
        )

    def document(self) -> dict[str, Any]:
        """The client object of a session document."""
        return {
            "id": self.id,
            "display_name": self.display_name,
            "full_name": self.full_name,
            "email": self.email,
            "identities": [self.id],
        }


ANONYMOUS = Client()
