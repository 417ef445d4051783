from deriva_ml.schema.create import create_ml_catalog as create_ml_catalog
from deriva_ml.schema.create import create_ml_schema as create_ml_schema
from deriva_ml.schema.create import create_or_retarget_ml_catalog as create_or_retarget_ml_catalog
from deriva_ml.schema.create import initialize_ml_schema as initialize_ml_schema
from deriva_ml.schema.policy import Policy as Policy
from deriva_ml.schema.policy import apply_policy as apply_policy
from deriva_ml.schema.tables import directory_dataset_table_def as directory_dataset_table_def
