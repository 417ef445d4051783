"""Who may do what in a shared catalog, as data, and its application to a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deriva_ml.ermrest.connect import Connection
from deriva_ml.ermrest.failures import translated
from deriva_ml.errors import DerivaMLValidationError


@dataclass(frozen=True)
class Policy:
    """Roles of a shared catalog; each is a list of user or group ids.

    Parameters
    ----------
    owners : sequence of str
        May do everything.
    curators : sequence of str
        May change and delete any row.
    writers : sequence of str
        May add rows, and change and delete their own.
    readers : sequence of str
        May read everything.
    visitors : sequence of str
        May know that the catalog is there.

    Raises
    ------
    DerivaMLValidationError
        If there is no owner, or a list is given as one text.

    Examples
    --------
    >>> Policy(owners=["https://auth.example.org/ada"], readers=["*"]).catalog_acls()["select"]
    ['https://auth.example.org/ada', '*']
    """

    owners: Sequence[str]
    curators: Sequence[str] = ()
    writers: Sequence[str] = ()
    readers: Sequence[str] = ()
    visitors: Sequence[str] = ("*",)

    def __post_init__(self) -> None:
        for name in ("owners", "curators", "writers", "readers", "visitors"):
            if isinstance(getattr(self, name), str):
                raise DerivaMLValidationError(f"{name} must be a list of ids, not one text.")
        if not self.owners:
            raise DerivaMLValidationError("A policy needs owners, whoever makes the catalog among them.")

    def catalog_acls(self) -> dict[str, list[str]]:
        """Access lists of the catalog, which its parts inherit."""
        owners, curators = list(self.owners), [*self.owners, *self.curators]
        writers = [*curators, *self.writers]
        return {
            "owner": owners,
            "create": owners,
            "insert": writers,
            "update": curators,
            "delete": curators,
            "write": [],
            "select": [*writers, *self.readers],
            "enumerate": list(self.visitors),
        }


ROW_OWNER_GUARD: dict[str, Any] = {
    "types": ["update", "delete"],
    "projection": ["RCB"],
    "projection_type": "acl",
    "scope_acl": ["*"],
}
"""Binding that lets people change and delete the rows that they made."""


def apply_policy(model: Any, policy: Policy) -> None:
    """Put a policy into the access lists of a model, to be sent by its ``apply()``.

    Parameters
    ----------
    model : deriva.core.ermrest_model.Model
    policy : Policy
    """
    acls = policy.catalog_acls()
    model.acls.update(acls)
    for name, schema in model.schemas.items():
        if name == "public":
            schema.acls.update({"insert": [], "update": [], "delete": [], "select": acls["select"]})
            continue
        guard = {**ROW_OWNER_GUARD, "scope_acl": acls["insert"]}
        for table in schema.tables.values():
            table.acl_bindings["row_owner_guard"] = guard
    leases = model.schemas["public"].tables.get("ERMrest_RID_Lease")
    if leases is not None:
        leases.acls.update({name: acls[name] for name in ("insert", "select", "update", "delete")})
        leases.acl_bindings["row_owner_guard"] = {**ROW_OWNER_GUARD, "scope_acl": acls["insert"]}


def grant(connection: Connection, policy: Policy) -> None:
    """Put a policy into force in a catalog.

    Raises
    ------
    DerivaMLException
        If the service refuses it, as it does with one in which its caller is no owner.
    """
    model = connection.model()
    apply_policy(model, policy)
    with translated(f"Granting rights on {connection.name}"):
        model.apply()
