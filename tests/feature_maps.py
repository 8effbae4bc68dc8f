"""Feature maps of a tiny network, in a file that lies there until the tests end."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tiny_network import tiny_network

from cvbow.features import CnnFeatureMap

#: What the pixels of the tiny network must be like.
FACTS: dict[str, Any] = {"size": 12, "channel_order": "rgb", "mean": (100, 110, 120), "scale": (0.01, 0.02, 0.03)}


@functools.cache
def network_file() -> Path:
    """Write the network: layers conv and relu of 5 x 10 x 10."""
    folder = Path(tempfile.mkdtemp(prefix="cvbow-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "tiny.onnx"
    path.write_bytes(tiny_network())
    return path


def feature_map(layer: str = "relu", **parameters: Any) -> CnnFeatureMap:
    """Return an extractor of the tiny network's cells."""
    return CnnFeatureMap(network_file(), layer, **{"engine": "opencv", **FACTS, **parameters})
