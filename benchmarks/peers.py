"""What others take for the same work: medians of one client on a shared machine of 2 cores, 24 GB, in November 2026.

Its calibration: MD5 0.69 GB/s, SHA-256 of 1 GiB 0.69 s, fsync 0.8 to 2.3 ms, a commit of SQLite 2.8 ms, 100,000 rows
of 8 columns out of SQLite as JSON 0.10 to 0.14 s, ``python -c pass`` 0.012 s. None of them syncs to the disk, except
the service that is the reference.
"""

from __future__ import annotations

PEERS: dict[str, tuple[float, str]] = {
    "import deriva_ml (CPU)": (0.79, "LaminDB; existing client 1.3, MLflow 1.49"),
    "deriva-ml --help (CPU)": (0.14, "DVC; LaminDB 0.29, MLflow 3.4"),
    "create a DerivaML catalog": (10.4, "existing client and service"),
    "open a deployment, with its imports (CPU)": (0.95, "LaminDB; AiiDA 1.6, MLflow 2.7"),
    "empty run, whole": (0.56, "LaminDB; existing client 1.02 with one file"),
    "empty run, no environment captured": (0.0056, "LaminDB; MLflow 0.011, its server 0.24"),
    "commit 200 files of 4 KB": (8.2, "existing client, whole run"),
    "commit 1,000 files of 4 KB": (0.79, "MLflow, its server 4.3; DVC 2.3, LaminDB 7.8"),
    "commit 10,000 files of 4 KB": (7.4, "MLflow, LaminDB 79"),
    "commit 10,000 feature rows": (2.8, "existing client with staging; LaminDB 15.9"),
    "commit 100,000 feature rows": (165, "LaminDB"),
    "commit 1 file of 1 GiB": (0.84, "MLflow without checksum; DVC 4.8"),
    "100 of 10,000 executions by status": (0.012, "LaminDB, MLflow 0.035"),
    "100 of 10,000 executions by workflow": (0.012, "LaminDB, MLflow 0.035"),
    "metrics of 10,000 executions, again": (0.27, "LaminDB, MLflow 4.8"),
    "top 100 of 10,000 by a metric": (0.026, "LaminDB, MLflow 5.3"),
    "add 500 members": (0.48, "existing client"),
    "lineage of a chain of 50": (0.010, "AiiDA; LaminDB 0.17, MLflow 0.21 by hand"),
    "lineage of a mesh of 20 generations of 20": (5.3, "LaminDB, 21 runs only"),
}
"""Seconds, by the name of a row."""
