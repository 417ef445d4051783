"""Keys of the annotations that this library reads or writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DISPLAY = "tag:misd.isi.edu,2015:display"
VISIBLE_COLUMNS = "tag:isrd.isi.edu,2016:visible-columns"
VISIBLE_FOREIGN_KEYS = "tag:isrd.isi.edu,2016:visible-foreign-keys"
TABLE_DISPLAY = "tag:isrd.isi.edu,2016:table-display"
COLUMN_DISPLAY = "tag:isrd.isi.edu,2016:column-display"
SOURCE_DEFINITIONS = "tag:isrd.isi.edu,2019:source-definitions"
ASSET = "tag:isrd.isi.edu,2017:asset"
BULK_UPLOAD = "tag:isrd.isi.edu,2017:bulk-upload"
CHAISE_CONFIG = "tag:isrd.isi.edu,2019:chaise-config"
EXPORT = "tag:isrd.isi.edu,2019:export"
EXPORT_FRAGMENTS = "tag:isrd.isi.edu,2021:export-fragment-definitions"
CATALOG_PROVENANCE = "tag:deriva-ml.org,2025:catalog-provenance"
CLONE_STATE = "tag:isrd.isi.edu,2018:clone-state"
STRICT_PREALLOCATED_RID = "tag:isrd.isi.edu,2026:strict-preallocated-rid"


def is_strict(annotations: Mapping[str, Any]) -> bool:
    """Whether annotations of a table say that rows must be inserted under RIDs that were leased before."""
    return annotations.get(STRICT_PREALLOCATED_RID) not in (None, False)
