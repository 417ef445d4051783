"""A small catalog to try things on: subjects, images, a vocabulary, two features and a dataset."""

from __future__ import annotations

import logging
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

from deriva_ml.ermrest import rows
from deriva_ml.ml import DerivaML
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.reexport import later
from deriva_ml.schema.create import create_connected
from deriva_ml.specs import ExecutionConfiguration

SUBJECTS, IMAGES = 4, 8

main = later("deriva_ml.cli.demo", "main")


def png(shade: int, size: int = 8) -> bytes:
    """Bytes of a grey square as a PNG file.

    Parameters
    ----------
    shade : int
        0 (black) to 255 (white).
    size : int
        Width and height in pixels.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\x00" + bytes([shade]) * size) * size)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def create_demo_catalog(
    hostname: str | Path,
    domain_schema: str = "demo",
    project_name: str = "demo",
    populate: bool = True,
    credential: dict[str, Any] | None = None,
    logging_level: int = logging.WARNING,
) -> Any:
    """Make a catalog with a few tables, and a few rows in them.

    Parameters
    ----------
    hostname : str or path
        A folder, a network name, or ``http://host:port``.
    domain_schema : str
        Schema of its tables.
    project_name : str
        Prefix of the identifiers of its terms.
    populate : bool
        Whether the tables get rows.
    credential : dict, optional
        For a host where this user is not logged in.
    logging_level : int
        How much is said meanwhile.

    Returns
    -------
    deriva.core.ErmrestCatalog
        Its ``catalog_id`` is what `DerivaML` takes.

    Examples
    --------
    >>> catalog = create_demo_catalog("./demo")  # doctest: +SKIP
    >>> DerivaML("./demo", catalog.catalog_id).find_datasets()  # doctest: +SKIP
    [<Dataset 1-0B3T: All images of the demonstration>]
    """
    catalog = create_connected(hostname, project_name, credential=credential).catalog
    with tempfile.TemporaryDirectory() as scratch:
        ml = DerivaML(
            hostname,
            catalog.catalog_id,
            working_dir=scratch,
            credential=credential,
            logging_level=logging_level,
            deriva_logging_level=logging_level,
        )
        create_tables(ml, domain_schema)
        if populate:
            fill_tables(ml)
    return catalog


def create_tables(ml: DerivaML, domain_schema: str = "demo") -> None:
    """Make the tables ``Subject`` and ``Image``, the vocabulary ``Quality``, and two features of images."""
    ml.create_schema(domain_schema)
    ml.create_vocabulary("Quality", "How well something can be seen.", update_navbar=False)
    for name, description in {"Good": "Everything can be seen.", "Bad": "Nothing can be seen."}.items():
        ml.add_term("Quality", name, description)
    columns = [ColumnDefinition("Name", nullok=False), ColumnDefinition("Age", BuiltinTypes.int4)]
    ml.create_table(TableDefinition("Subject", columns), update_navbar=False)
    ml.create_asset("Image", referenced_tables=["Subject"], comment="Grey squares.", update_navbar=False)
    ml.create_feature(
        "Image", "Quality", terms=["Quality"], comment="How good the image is.", update_navbar=False
    )
    shade = ColumnDefinition("Shade", BuiltinTypes.float8, comment="Mean of the pixels, 0 to 1.")
    ml.create_feature("Image", "Brightness", metadata=[shade], comment="How bright the image is.")
    ml.add_dataset_element_type("Subject")
    ml.add_dataset_element_type("Image")


def fill_tables(ml: DerivaML) -> None:
    """Add subjects, images with their features, and a dataset of all images, in three executions."""
    new = [{"Name": f"Subject {number}", "Age": 20 + number} for number in range(1, SUBJECTS + 1)]
    found = rows.insert(ml._session.connection, ml.model.name_to_table("Subject"), new)
    subjects = [row["RID"] for row in found]
    ingest = ml.create_workflow(
        "Demonstration ingest", "Ingest", "Registers images and makes a dataset of them."
    )
    with ml.create_execution(ExecutionConfiguration(workflow=ingest, description="Images come in")) as exe:
        for number in range(IMAGES):
            metadata = {"Subject": subjects[number % SUBJECTS]}
            exe.asset_file_path("Image", f"image_{number}.png", metadata=metadata).write_bytes(
                png(number * 32)
            )
    exe.commit_output_assets()
    images = ml.list_assets("Image")
    with ml.create_execution(ExecutionConfiguration(workflow=ingest, description="Images are judged")) as exe:
        quality = ml.feature_record_class("Image", "Quality")
        brightness = ml.feature_record_class("Image", "Brightness")
        shades = {image.asset_rid: number * 32 / 255 for number, image in enumerate(images)}
        exe.add_features(
            [quality(Image=rid, Quality="Good" if shade > 0.2 else "Bad") for rid, shade in shades.items()]
        )
        exe.add_features([brightness(Image=rid, Shade=shade) for rid, shade in shades.items()])
    exe.commit_output_assets()
    with ml.create_execution(workflow=ingest, description="Images are put together") as exe:
        dataset = exe.create_dataset(["Complete"], description="All images of the demonstration")
        dataset.add_dataset_members({"Image": list(shades), "Subject": subjects})
        dataset.release("minor", "First images", execution=exe)
    exe.commit_output_assets()
