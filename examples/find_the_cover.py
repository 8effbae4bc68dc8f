"""
Which of these covers is on the photograph?
===========================================

An index of visual words finds the same thing from another side, in other light and before another ground, and
geometry says where in the photograph it is.
"""

import tempfile
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from cvbow import ImageIndex
from cvbow.retrieval import VisualWords

TITLES = ["Dust", "Ember", "Fjord", "Grove", "Haze", "Inlet", "Jade", "Karst", "Lumen", "Moor", "North", "Opal"]


def cover(title, random):
    """A poster of shapes and a title."""
    image = np.full((300, 220, 3), random.integers(0, 256, 3), np.uint8)
    for _ in range(14):
        corners = np.int32(random.uniform(0, 300, (1, 3, 2)))
        cv2.fillPoly(image, corners, random.integers(0, 256, 3).tolist(), cv2.LINE_AA)
        place = tuple(int(v) for v in random.integers(0, 220, 2))
        cv2.circle(image, place, int(random.integers(4, 22)), random.integers(0, 256, 3).tolist(), -1, cv2.LINE_AA)
    cv2.putText(image, title, (16, 270), cv2.FONT_HERSHEY_TRIPLEX, 1.6, (255, 255, 255), 3, cv2.LINE_AA)
    return image


random = np.random.default_rng(0)
covers = {title: cover(title, random) for title in TITLES}

# A photograph of one of them: tilted, smaller, darker, blurred, before another picture.
corners = np.float32([[0, 0], [220, 0], [220, 300], [0, 300]])
lying = np.float32([[250, 70], [420, 110], [370, 345], [190, 285]])
photo = load_sample_image("flower.jpg")
homography = cv2.getPerspectiveTransform(corners, lying)
laid = cv2.warpPerspective(covers["Karst"], homography, (photo.shape[1], photo.shape[0]))
there = cv2.warpPerspective(np.ones((300, 220), np.float32), homography, (photo.shape[1], photo.shape[0]))[..., None]
photo = np.uint8(cv2.GaussianBlur(0.75 * (there * laid + (1 - there) * photo), (0, 0), 0.8))

with tempfile.TemporaryDirectory() as folder:
    for title, image in covers.items():
        Image.fromarray(image).save(Path(folder) / f"{title}.png")
    paths = sorted(str(path) for path in Path(folder).glob("*.png"))
    with ImageIndex.build(Path(folder) / "covers.index", VisualWords(n_words=500, n_jobs=1).fit(paths)) as index:
        index.add(paths)
        results = index.search(photo, k=3, verify=12)

best = results[0]
outline = cv2.perspectiveTransform(corners[None], np.linalg.inv(best.matrix))[0]

figure, axes = plt.subplots(1, 2, figsize=(9, 4), width_ratios=(1.9, 1))
axes[0].imshow(photo)
axes[0].plot(*np.vstack([outline, outline[:1]]).T, color="lime", linewidth=2)
axes[0].set_title("the photograph, and where the cover was found")
axes[1].imshow(covers[Path(best.path).stem])
axes[1].set_title(f"{Path(best.path).stem}, {best.n_inliers} matches agree")
for axis in axes:
    axis.set_axis_off()
figure.tight_layout()

# %%
# The first results of the search. Those without matches that agree are like it in their words alone:

for result in results:
    print(f"{Path(result.path).stem:8} score {result.score:.3f}, matches that agree: {result.n_inliers}")

# %%
# The map between both is affine by default, four corners of a tilted cover are not quite that; how far are they
# off?

print(f"mean error of the corners: {np.linalg.norm(outline - lying, axis=1).mean():.1f} pixels")

# %%
# The same on the command line: ``cvbow index build covers -o covers.index``, then ``cvbow index search
# covers.index photo.jpg -o found.png``. What it finds among 4,585 images is measured in the benchmarks.
