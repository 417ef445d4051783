"""Time-outs and sizes are tuned on the `DerivaML` instance, as the guide says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deriva_ml import DerivaML, DerivaMLConfig
from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import bindings, objects
from deriva_ml.errors import DerivaMLDatasetNotFound
from deriva_ml.schema import create_ml_catalog
from deriva_ml.specs import DatasetSpec
from deriva_server import LocalServer


def _waited(monkeypatch: pytest.MonkeyPatch) -> set[float]:
    """For how long answers are waited for from now on."""
    seen: set[float] = set()
    send = bindings._PatientAdapter.send

    def noted(self: Any, *args: Any, **options: Any) -> Any:
        seen.add(self.timeout[1])
        return send(self, *args, **options)

    monkeypatch.setattr(bindings._PatientAdapter, "send", noted)
    return seen


def test_chunks_and_time_outs_reach_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_ml_catalog(str(tmp_path / "lab"), "tuned")
    server = LocalServer.open(tmp_path / "lab")
    running = server.serve(port=0)
    sizes: list[int] = []
    try:
        config = DerivaMLConfig(
            hostname=running.url,
            catalog_id=1,
            working_dir=tmp_path / "work",
            timeout=(3, 45),
            chunk_size=50_000,
        )
        ml = DerivaML.instantiate(config)
        connection = ml._session.connection
        for binding in (connection.catalog, connection.store):
            assert binding._session.get_adapter(running.url).timeout[1] == 45
        file = tmp_path / "large"
        file.write_bytes(b"x" * 120_000)

        put = type(connection.store).put

        def counted(store: object, path: str, data: bytes, **options: object) -> object:
            sizes.append(len(data))
            return put(store, path, data=data, **options)

        monkeypatch.setattr(type(connection.store), "put", counted)
        objects.put(connection, file, "/hatrac/tuned/large", md5=md5_of(file))
        waited = _waited(monkeypatch)
        with pytest.raises(DerivaMLDatasetNotFound):
            ml.download_dataset_bag(DatasetSpec(rid="1-ABC", timeout=(2, 7)))
    finally:
        running.close()
    assert waited == {7}
    assert sizes == [50_000, 50_000, 20_000]
