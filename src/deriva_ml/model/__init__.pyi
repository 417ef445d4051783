from deriva_ml.model.define import AssetTableDef as AssetTableDef
from deriva_ml.model.define import ColumnDefinition as ColumnDefinition
from deriva_ml.model.define import ForeignKeyDefinition as ForeignKeyDefinition
from deriva_ml.model.define import KeyDefinition as KeyDefinition
from deriva_ml.model.define import TableDefinition as TableDefinition
from deriva_ml.model.define import VocabularyTableDef as VocabularyTableDef
from deriva_ml.model.graph import CatalogModel as CatalogModel
from deriva_ml.model.types import BuiltinTypes as BuiltinTypes
