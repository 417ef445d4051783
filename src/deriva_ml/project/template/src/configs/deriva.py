"""The catalog to work with: ``deriva_ml=NAME``."""

from pathlib import Path

from hydra_zen import store

from deriva_ml import DerivaMLConfig

LAB = Path(__file__).resolve().parents[2] / "lab"
"""The laboratory on this machine, a whole server in a folder."""

WORK = LAB / "work"
"""Downloads, files that wait to be committed, Hydra's logs."""

CATALOG = "1"

deriva_store = store(group="deriva_ml")
deriva_store(
    DerivaMLConfig,
    name="default_deriva",
    hostname=str(LAB),
    catalog_id=CATALOG,
    working_dir=str(WORK),
    use_minid=False,
    zen_meta={"description": "The laboratory in the folder lab of this project"},
)

# A catalog that others use, too:
# deriva_store(DerivaMLConfig, name="team", hostname="data.example.org", catalog_id="1", use_minid=False)
