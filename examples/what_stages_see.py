"""
What does each stage see?
=========================

Edges, corners, blobs, keypoints, a grid: each stage puts its points elsewhere, and words can come from any of
them.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from cvbow.features import LocalFeatures

random = np.random.default_rng(0)
image = load_sample_image("china.jpg")
stages = {
    "canny": "edges",
    "harris": "corners",
    "log": "blobs",
    "sift": "keypoints with scale and angle",
    "mser": "regions that stay as they are",
    "grid": "a grid, at all scales alike",
}

figure, axes = plt.subplots(2, 3, figsize=(10, 5.2))
for axis, (name, what) in zip(axes.flat, stages.items(), strict=True):
    # Of edges and of a grid there are thousands; any of them are shown.
    points = LocalFeatures(name, max_points=3000).detect(image).points
    points = random.permutation(points)[:150]
    axis.imshow(image, alpha=0.75)
    for x, y, size, _ in points:
        axis.add_patch(plt.Circle((x, y), max(size / 2, 3), fill=False, color="crimson", linewidth=0.8))
    axis.set_title(f"{name}: {what}", fontsize=9)
    axis.set_axis_off()
figure.tight_layout()

# %%
# Any of these can be described by any descriptor: the points get a row each, of numbers or of bits.

for detector, descriptor in (("harris", "rootsift"), ("sift", "rootsift"), ("orb", "orb"), ("grid", "daisy")):
    features = LocalFeatures(detector, descriptor, max_points=300).extract(image)
    rows, columns = features.descriptors.shape
    print(f"{detector:>6} + {descriptor:<8} {rows} points, {columns} values of {features.descriptors.dtype}")

# %%
# On the command line, ``cvbow features photo.jpg -o stages.png --stage canny --stage harris`` draws the same.
# Which of them makes the best words is measured under *Sources of words* in the benchmarks: on scenes, blobs and
# the grid.
