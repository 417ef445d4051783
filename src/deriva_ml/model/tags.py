"""Keys of the annotations that this library reads or writes."""

from __future__ import annotations

DISPLAY = "tag:misd.isi.edu,2015:display"
VISIBLE_COLUMNS = "tag:isrd.isi.edu,2016:visible-columns"
VISIBLE_FOREIGN_KEYS = "tag:isrd.isi.edu,2016:visible-foreign-keys"
TABLE_DISPLAY = "tag:isrd.isi.edu,2016:table-display"
ASSET = "tag:isrd.isi.edu,2017:asset"
BULK_UPLOAD = "tag:isrd.isi.edu,2017:bulk-upload"
CHAISE_CONFIG = "tag:isrd.isi.edu,2019:chaise-config"
CATALOG_PROVENANCE = "tag:deriva-ml.org,2025:catalog-provenance"
CLONE_STATE = "tag:isrd.isi.edu,2018:clone-state"
