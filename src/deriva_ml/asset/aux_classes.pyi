from deriva_ml.asset.files import AssetFilePath as AssetFilePath
from deriva_ml.configs.builders import AssetSpecConfig as AssetSpecConfig
from deriva_ml.configs.builders import LocalFileConfig as LocalFileConfig
from deriva_ml.specs import AssetSpec as AssetSpec
from deriva_ml.specs import LocalFile as LocalFile
