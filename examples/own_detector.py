"""
How do I add a detector of my own?
==================================

A class of a few lines and one line in the registry. From then on it is a part like the others: in recipes, on
the command line and in model files.
"""

import cv2
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_sample_image

import cvbow
from cvbow.features import DETECTORS, Detections, Detector, LocalFeatures


class Bends(Detector):
    """Points where an edge bends: curvature of the level lines times gradient (Kitchen and Rosenfeld, 1982)."""

    def __init__(self, blur=2.0):
        self.blur = blur

    def compute(self, gray, limit=None):
        smooth = cv2.GaussianBlur(np.float32(gray), (0, 0), self.blur)
        x, y, xx, yy, xy = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1), (2, 0), (0, 2), (1, 1)))
        bend = np.abs(xx * y**2 - 2 * xy * x * y + yy * x**2) / (x**2 + y**2 + 1)
        peak = (bend == cv2.dilate(bend, np.ones((7, 7)))) & (bend > 0.02 * bend.max())
        rows, columns = np.nonzero(peak)
        order = np.argsort(-bend[rows, columns], kind="stable")
        return Detections.of(np.stack([columns, rows], axis=1)[order], limit=limit)


DETECTORS["bends"] = Bends

photo = load_sample_image("china.jpg")
figure, axes = plt.subplots(1, 2, figsize=(10, 3.7))
for axis, name in zip(axes, ("bends", "harris"), strict=True):
    points = LocalFeatures(name, max_points=200).detect(photo).points
    axis.imshow(photo, alpha=0.8)
    axis.plot(points[:, 0], points[:, 1], "o", color="crimson", markersize=4, fillstyle="none")
    axis.set_title(f"the 200 strongest of '{name}'")
    axis.set_axis_off()
figure.tight_layout()

# %%
# The name is a setting now, and so is its parameter.

digits = load_digits()
images, labels = list(np.uint8(255 / 16 * digits.images[:350])), digits.target[:350].astype(str)
for name in ("bends", "harris"):
    settings = {"detector": name, "min_side": 64, "n_words": 60, "max_points": 100}
    if name == "bends":
        settings["detector__blur"] = 1.5
    model = cvbow.make_model("bow", settings=settings, n_jobs=1).fit(images[:230], labels[:230])
    report, _ = model.evaluate(images[230:], labels[230:])
    print(f"{name:7} {report.accuracy:.1%} of {report.n_images} digits")

# %%
# In a file ``my_parts.py``, the same class serves the command line: ``cvbow --import my_parts train photos -o
# photos.cvbow --set detector=bends --set detector__blur=1.5``.
