"""What a bag cannot do, because it never changes and knows no catalog: refused by name, with what to do instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from deriva_ml.errors import DerivaMLReadOnlyError

_WRITES = re.compile(
    "(add|apply|commit|create|define|delete|pin|remove|reorder|set|unpin|update)_.+"
    "|increment_dataset_version|mark_dev|refresh_schema|release|resume_execution"
)
_NEED_A_CATALOG = frozenset(
    """
    bag_info cache cache_dataset catalog_snapshot chaise_url cite compare_versions display_markdown download_dataset_bag
    estimate_bag_size estimate_denormalized_size find_assets find_executions find_executions_consuming find_experiments
    find_workflows get_chaise_url is_dirty list_asset_executions list_assets list_execution_assets list_files
    lookup_asset lookup_execution lookup_experiment lookup_lineage lookup_workflow lookup_workflow_by_url pathBuilder
    release_diff resolve_rid resolve_rids to_markdown user_list whoami
    """.split()
)


class Sealed:
    """Refuses what only a catalog can do.

    Raises
    ------
    DerivaMLReadOnlyError
        When a method of a catalog or a dataset that a bag cannot have is called, or an attribute is assigned.
    """

    def __getattr__(self, name: str) -> Any:
        if name in _NEED_A_CATALOG or _WRITES.fullmatch(name):
            return self._refusal(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        described = getattr(type(self), name, None)
        if isinstance(described, property) and described.fset is None:
            raise DerivaMLReadOnlyError(f"Cannot set {name}: a bag never changes. {self._instead()}")
        super().__setattr__(name, value)

    def _refusal(self, name: str) -> Callable[..., Any]:
        def refuse(*_arguments: Any, **_options: Any) -> Any:
            why = "a bag is read without its catalog" if name in _NEED_A_CATALOG else "a bag never changes"
            raise DerivaMLReadOnlyError(f"Cannot call {name}: {why}. {self._instead()}")

        return refuse

    def _instead(self) -> str:
        """What to do instead."""
        made = getattr(self, "catalog", self).provenance.get("extra", {})
        where = ", ".join(repr(made[key]) for key in ("host", "catalog_id") if key in made)
        return f"Do it in the catalog, ml = DerivaML({where or '…'}), and download the version that you release there."
