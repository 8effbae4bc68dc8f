"""benchmarks/cluster.py: what its table says. The smoke run of it, with a killed worker, is in test_benchmarks.py."""

from __future__ import annotations

from cvbow.experiments import result_tables


def test_the_table_of_a_cluster() -> None:
    part = {
        "recipe": {"preset": "fast"},
        "n_images": 20_000,
        "n_files": 1500,
        "vector_length": 8400,
        "limit_mb": None,
        "workers": None,
        "seconds": {"encode": 61.2, "classifier": 30.0, "total": 99.6},
        "peak_mb": 1234.5,
        "without_files_mb": None,
        "content_hash": "0123456789abcdef",
    }
    workers = [{"peak_mb": 251.0}, {"peak_mb": 244.0}]
    table = result_tables({"threads": part, "dask": part | {"limit_mb": 600, "workers": workers}})["figures"]
    common = ("61 s", "30 s", "100 s", "1,234 MB", "")
    assert table.rows == [
        ("two threads", *common, "", "0123456789ab"),
        ("two workers of Dask, one killed", *common, "251 MB of 600 MB", "0123456789ab"),
    ]
    assert "20,000 images (1,500 of 15-Scene" in table.title
