"""deriva-py's file transfers: query results as files, downloads into bags, bulk uploads."""

import csv
import gc
import json
import signal
from base64 import b64decode

import pytest
from bdbag import bdbag_api
from deriva.core import HatracStore
from deriva.core.ermrest_model import Column, Schema, Table, builtin_types
from deriva.transfer import DerivaDownload, GenericUploader

COUNT = 57
STREAM, JSON, CSV = "application/x-json-stream", "application/json", "text/csv"


@pytest.fixture
def sheet(catalog):
    """A catalog with one table of many rows, and one of files."""
    schema = catalog.getCatalogModel().create_schema(Schema.define("s"))
    schema.create_table(
        Table.define(
            "T, ü", [Column.define("Name", builtin_types.text), Column.define("N", builtin_types.int4)]
        )
    )
    schema.create_table(Table.define("Empty", [Column.define("Name", builtin_types.text)]))
    schema.create_table(Table.define_asset("s", "File"))
    rows = [{"Name": f'ünï "{number}", x', "N": number} for number in range(COUNT)]
    catalog.getPathBuilder().schemas["s"].tables["T, ü"].insert(rows)
    return catalog


PATH, EMPTY = "/entity/s:T%2C%20%C3%BC", "/entity/s:Empty"


def read(path, accept):
    with path.open(newline="", encoding="utf-8") as file:
        if accept == CSV:
            return [row | {"N": int(row["N"])} for row in csv.DictReader(file)]
        return json.load(file) if accept == JSON else [json.loads(line) for line in file]


@pytest.mark.parametrize("accept", [STREAM, JSON, CSV])
@pytest.mark.parametrize("paged", [None, 1, 10, COUNT, 1000])
@pytest.mark.parametrize("path", [PATH, "/attribute/t:=s:T%2C%20%C3%BC/RID,N,Name"])
def test_rows_as_a_file(sheet, tmp_path, accept, paged, path):
    target = tmp_path / "rows"
    said = []
    sheet.get_as_file(
        path,
        str(target),
        headers={"accept": accept},
        paged=paged is not None,
        page_size=paged or 0,
        callback=lambda **told: said.append(told) or True,
    )
    found = read(target, accept)
    assert [(row["N"], row["Name"]) for row in found] == [(n, f'ünï "{n}", x') for n in range(COUNT)]
    assert said[-1]["file_path"] == str(target)


@pytest.mark.parametrize("accept", [STREAM, JSON, CSV])
@pytest.mark.parametrize("paged", [False, True])
def test_no_rows_as_a_file(sheet, tmp_path, accept, paged):
    for delete in (False, True):
        target = tmp_path / f"rows{delete}"
        sheet.get_as_file(EMPTY, str(target), headers={"accept": accept}, paged=paged, delete_if_empty=delete)
        # what has no byte is always deleted
        assert target.exists() is (not delete and accept != STREAM)


def test_pages_by_other_columns(sheet, tmp_path):
    sheet.get_as_file(
        PATH,
        str(tmp_path / "rows"),
        headers={"accept": STREAM},
        paged=True,
        page_size=9,
        page_sort_columns=["N", "RID"],
    )
    assert [row["N"] for row in read(tmp_path / "rows", STREAM)] == list(range(COUNT))


def test_a_file_of_a_snapshot(sheet, tmp_path):
    then = sheet.latest_snapshot()
    sheet.delete(f"{PATH}/N=5")
    then.get_as_file(PATH, str(tmp_path / "rows"), headers={"accept": CSV}, paged=True, page_size=20)
    assert [row["N"] for row in read(tmp_path / "rows", CSV)] == list(range(COUNT))


@pytest.fixture
def arguments(http, sheet):
    return {"host": http.removeprefix("http://"), "protocol": "http", "catalog_id": sheet.catalog_id}


@pytest.fixture
def stored(arguments, sheet, tmp_path):
    """Files in the object store with their rows."""
    store = HatracStore("http", arguments["host"])
    rows = []
    for name in ("ä b.txt", "c.txt"):
        (tmp_path / name).write_text(name * 10)
        where = store.put_loc(
            f"/hatrac/{sheet.catalog_id}/{name}".replace(" ", "%20").replace("ä", "%C3%A4"),
            str(tmp_path / name),
        )
        head = store.head(where).headers
        rows.append(
            {
                "URL": where,
                "Filename": name,
                "Length": int(head["Content-Length"]),
                "MD5": b64decode(head["Content-MD5"]).hex(),
            }
        )
    sheet.getPathBuilder().schemas["s"].tables["File"].insert(rows)
    return rows


def processor(kind, path, output, **more):
    return {"processor": kind, "processor_params": {"query_path": path, "output_path": output} | more}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("host", ["http"], indirect=True)
def test_download_to_a_bag(arguments, stored, tmp_path):
    config = {
        "env": {"least": 50},
        "bag": {"bag_name": "made", "bag_algorithms": ["md5", "sha256"]},
        "catalog": {
            "query_processors": [
                processor("env", f"{PATH}/N=7", "", query_keys=["Name"]),
                processor("csv", PATH + "/N::geq::{least}", "rows/some"),
                processor("json-stream", PATH, "rows/all", paged_query=True, paged_query_size=10),
                processor("json", "/schema", "schema"),
                processor("csv", EMPTY, "rows/none"),
                processor(
                    "download",
                    "/attribute/s:File/url:=URL,filename:=Filename,length:=Length,md5:=MD5",
                    "files",
                ),
                processor(
                    "fetch", "/attribute/s:File/url:=URL,filename:=Filename,length:=Length,md5:=MD5", "later"
                ),
            ]
        },
    }
    made = DerivaDownload(arguments, output_dir=str(tmp_path / "out"), config=config, token="x")
    outputs = made.download()
    gc.collect()
    place = tmp_path / "out" / "made"
    assert outputs["made"]["local_path"] == str(place)
    assert bdbag_api.is_bag(str(place))
    rows = read(place / "data" / "rows" / "some.csv", CSV)
    assert [row["N"] for row in rows] == list(range(50, COUNT))
    assert len(read(place / "data" / "rows" / "all.json", STREAM)) == COUNT
    assert "s" in json.loads((place / "data" / "schema.json").read_text())["schemas"]
    for row in stored:
        assert (place / "data" / "files" / row["Filename"]).read_text() == row["Filename"] * 10
    fetch = (place / "fetch.txt").read_text()
    assert all(f"{row['Length']}\t" in fetch for row in stored) and fetch.count("/hatrac/") == len(stored)


@pytest.fixture
def uploader(arguments, tmp_path):
    """Makes uploaders with a configuration of their own; they take over the interrupt signal."""
    former = signal.getsignal(signal.SIGINT)

    def make(mappings):
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"asset_mappings": mappings, "version_compatibility": [[">=1.0.0"]]}))
        made = GenericUploader(str(config), str(tmp_path / "credential.json"), arguments)
        made.setCredentials({"cookie": "webauthn=x"})
        return made

    yield make
    signal.signal(signal.SIGINT, former)


def upload(made, folder):
    """Status of each file afterwards."""
    made.scanDirectory(str(folder), purge_state=True)
    made.uploadFiles()
    states = [status["Status"] for status in made.file_status.values()]
    made.cleanup()
    del made
    gc.collect()  # files that it leaves open
    return states


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("host", ["http"], indirect=True)
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_upload_of_rows(sheet, uploader, tmp_path, kind):
    folder = tmp_path / "in" / "records" / "s"
    folder.mkdir(parents=True)
    rows = [{"Name": name} for name in ("a", 'b "c", d', "ü\nx", "")]
    if kind == "json":
        (folder / "Empty.json").write_text(json.dumps(rows))
    else:
        with (folder / "Empty.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerows([["Name"], *([row["Name"]] for row in rows)])
    made = uploader(
        [
            {
                "asset_type": "table",
                "default_columns": ["RID", "RCB", "RMB", "RCT", "RMT"],
                "file_pattern": "^((?!/assets/).)*/records/(?P<schema>.+?)/(?P<table>.+?)[.]",
                "ext_pattern": "^.*[.](?P<file_ext>json|csv)$",
            }
        ]
    )
    assert upload(made, tmp_path / "in") == ["Complete"]
    assert [row["Name"] for row in sheet.get(EMPTY).json()] == [row["Name"] for row in rows]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("host", ["http"], indirect=True)
@pytest.mark.parametrize("versioned", [True, False])
def test_upload_of_files(sheet, arguments, uploader, tmp_path, versioned):
    folder = tmp_path / "in" / "assets"
    folder.mkdir(parents=True)
    for name in ("one.txt", "zwei ü.txt"):
        (folder / name).write_text(name * 100)
    up = f"/hatrac/up/{sheet.catalog_id}{versioned}"
    mapping = {
        "hatrac_options": {"versioned_urls": versioned},
        "column_map": {
            "URL": "{URI}",
            "Filename": "{file_name}",
            "Length": "{file_size}",
            "MD5": "{md5}",
            "Description": "{base_name}",
        },
        "file_pattern": "^.*/assets/(?P<base_name>.*)[.]txt$",
        "ext_pattern": "^.*[.](?P<file_ext>txt)$",
        "target_table": ["s", "File"],
        "checksum_types": ["md5", "sha256"],
        "hatrac_templates": {"hatrac_uri": f"{up}/{{md5}}.{{file_name_urlencoded}}"},
        "record_query_template": "/entity/{target_table}/MD5={md5}&Filename={file_name_urlencoded}",
        "metadata_query_templates": [],
    }
    for turn in ("first", "second"):  # what is there is found again
        assert upload(uploader([mapping]), tmp_path / "in") == ["Complete", "Complete"], turn
        rows = sheet.get("/entity/s:File@sort(Filename)").json()
        assert [row["Filename"] for row in rows] == ["one.txt", "zwei ü.txt"]
    store = HatracStore("http", arguments["host"])
    assert [":" in row["URL"] for row in rows] == [versioned] * 2
    assert sorted(store.retrieve_namespace(up)) == sorted(row["URL"].partition(":")[0] for row in rows)
    for row in rows:
        assert len(store.get(row["URL"].partition(":")[0] + ";versions").json()) == 1
    assert [store.get_obj(row["URL"]).content.decode() for row in rows] == [
        row["Filename"] * 100 for row in rows
    ]
