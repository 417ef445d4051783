"""How a clone is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from deriva_ml.catalog.orphans import OrphanStrategy
from deriva_ml.errors import DerivaMLValidationError


@dataclass(frozen=True)
class ClonePolicy:
    """How a clone is made.

    Parameters
    ----------
    orphans : OrphanStrategy
        What happens to rows that refer to rows outside of the slice.
    include_tables : sequence of str
        Names of tables that are taken with all their rows.
    exclude_tables : sequence of str
        Names of tables whose rows are left out.
    copy_assets : bool, optional
        Whether bytes of assets are copied into the object store of the destination. By default they are where they
        cannot be reached otherwise: from a folder to another deployment. Else rows refer to the store of the source.
    versions : bool
        Whether releases can be read in the clone as they were released. Without, only what is there now is taken.
    """

    orphans: OrphanStrategy = OrphanStrategy.FAIL
    include_tables: Sequence[str] = ()
    exclude_tables: Sequence[str] = ()
    copy_assets: bool | None = None
    versions: bool = True

    @classmethod
    def of(cls, given: ClonePolicy | OrphanStrategy | str | None) -> ClonePolicy:
        """Read what a user gives as a policy: the name of a strategy for orphans will do.

        Raises
        ------
        DerivaMLValidationError
            If it is none.
        """
        if isinstance(given, ClonePolicy):
            return replace(given, orphans=_strategy(given.orphans))
        return cls() if given is None else cls(_strategy(given))


def _strategy(given: Any) -> OrphanStrategy:
    try:
        return OrphanStrategy(given.lower() if isinstance(given, str) else given)
    except ValueError:
        known = ", ".join(strategy.value for strategy in OrphanStrategy)
        raise DerivaMLValidationError(f"{given!r} is no policy for orphans; choose one of {known}.") from None
