from deriva_ml.configs.builders import DatasetSpecConfig as DatasetSpecConfig
from deriva_ml.dataset.minid import DatasetMinid as DatasetMinid
from deriva_ml.names import DatasetVersion as DatasetVersion
from deriva_ml.names import VersionPart as VersionPart
from deriva_ml.records import DatasetHistory as DatasetHistory
from deriva_ml.records import DatasetReference as DatasetReference
from deriva_ml.records import FeatureReference as FeatureReference
from deriva_ml.specs import DatasetSpec as DatasetSpec
