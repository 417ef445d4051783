"""Files to read besides datasets: ``assets=NAME``."""

from hydra_zen import store

asset_store = store(group="assets")
asset_store([], name="default_asset")
asset_store([], name="no_assets")

# With no files named, evaluation takes the newest model, and the notebook the newest predictions. To keep to one, give
# its RID a name here:
# asset_store(with_description(["4-ABCD"], "The model of the first paper"), name="paper_model")
