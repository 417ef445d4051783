from deriva_ml.configs.builders import DatasetSpecConfig as DatasetSpecConfig
from deriva_ml.dataset.bag import DatasetBag as DatasetBag
from deriva_ml.dataset.dataset import Dataset as Dataset
from deriva_ml.names import DatasetVersion as DatasetVersion
from deriva_ml.names import VersionPart as VersionPart
from deriva_ml.specs import DatasetSpec as DatasetSpec
