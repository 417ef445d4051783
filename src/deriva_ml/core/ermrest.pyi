from deriva_ml.model.define import AssetTableDef as AssetTableDef
from deriva_ml.model.define import ColumnDefinition as ColumnDefinition
from deriva_ml.model.define import ForeignKeyDefinition as ForeignKeyDefinition
from deriva_ml.model.define import KeyDefinition as KeyDefinition
from deriva_ml.model.define import TableDefinition as TableDefinition
from deriva_ml.model.define import VocabularyTableDef as VocabularyTableDef
from deriva_ml.names import UploadState as UploadState
from deriva_ml.records import FileUploadState as FileUploadState
from deriva_ml.records import UploadCallback as UploadCallback
from deriva_ml.records import UploadProgress as UploadProgress
from deriva_ml.vocabulary import VocabularyTerm as VocabularyTerm
from deriva_ml.vocabulary import VocabularyTermHandle as VocabularyTermHandle

ColumnDef = ColumnDefinition
ForeignKeyDef = ForeignKeyDefinition
KeyDef = KeyDefinition
TableDef = TableDefinition
