"""
Is this the same picture again?
===============================

Copies hide behind other sizes, compression, crops, mirrors. None of these makes another picture; another
exposure does.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from cvbow.duplicates import find_copies

china = Image.fromarray(load_sample_image("china.jpg"))
flower = Image.fromarray(load_sample_image("flower.jpg"))
brushed = np.array(flower)
brushed[150:260, 260:420] = (200, 30, 30)  # a part that was painted over: another picture

pictures = {
    "china": (china, 90),
    "half the size": (china.resize((320, 213)), 90),
    "recompressed": (china, 12),
    "a part": (china.crop((40, 30, 560, 390)), 90),
    "mirrored": (ImageOps.mirror(china), 90),
    "flower": (flower, 90),
    "painted over": (Image.fromarray(brushed), 90),
    "flower, turned": (flower.rotate(90, expand=True), 90),
}

with tempfile.TemporaryDirectory() as folder:
    paths = []
    for name, (picture, quality) in pictures.items():
        paths.append(Path(folder) / f"{name}.jpg")
        picture.save(paths[-1], quality=quality)
    found = find_copies(paths, n_jobs=1)

colors = ["tab:orange", "tab:blue", "tab:green"]
group_of = {Path(path).stem: number for number, group in enumerate(found.groups) for path in group.paths}
figure, axes = plt.subplots(2, 4, figsize=(10, 5))
for axis, (name, (picture, _)) in zip(axes.flat, pictures.items(), strict=True):
    axis.imshow(picture)
    axis.set_xticks([])
    axis.set_yticks([])
    color = colors[group_of[name]] if name in group_of else "none"
    for side in axis.spines.values():
        side.set(color=color, linewidth=6)
    axis.set_title(name, fontsize=10)
figure.suptitle("frames of one colour: the same picture")
figure.tight_layout()

# %%
# Why it thinks so, pair by pair:

for pair in found.pairs:
    said = f", {pair.turned}" if pair.turned else ""
    print(f"{Path(pair.first).stem:>14} - {Path(pair.second).stem:<15} {pair.reason}, score {pair.score:.2f}{said}")

# %%
# ``cvbow index duplicates`` does that for an index of any size, and ``cvbow audit`` tells where a picture is in
# train and in test.
