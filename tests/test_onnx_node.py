"""The example for Node gives the answers of Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from node_modules import EXAMPLE, node_modules

from cvbow import make_model
from cvbow.export import to_onnx

pytest.importorskip("onnx", reason="needs the extra: pip install 'cvbow[export]'")


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node")
def test_the_program_answers_as_python_does(tiny_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(node_modules("onnxruntime-node", "sharp").resolve())
    shutil.copy(EXAMPLE / "classify.mjs", tmp_path)
    labels = [path.parent.name for path in sorted(tiny_dataset.rglob("*.png"))]
    images = [cv2.imread(str(path)) for path in sorted(tiny_dataset.rglob("*.png"))]
    model = make_model("fast", settings={"n_words": 16, "step": 6}, n_jobs=1).fit(images, labels)
    (tmp_path / "model.onnx").write_bytes(to_onnx(model).SerializeToString())
    asked = sorted(tiny_dataset.rglob("00.png"))
    (tmp_path / "note.txt").write_text("no image")
    command = ["node", "classify.mjs", "model.onnx", *map(str, asked), "note.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "note.txt")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(path) for path in asked]
    for (_, *found), row in zip(lines, model.predict_proba(asked), strict=True):
        order = np.argsort(-row, kind="stable")
        assert [each.rpartition(" ")[0] for each in found] == [model.classes_[at] for at in order]
        assert [float(each.rpartition(" ")[2]) for each in found] == pytest.approx(row[order], abs=0.002)
    done = subprocess.run(["node", "classify.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "usage: node classify.mjs MODEL.onnx IMAGE...\n")
