"""
Where is it, and which pixels are it?
=====================================

A model that has learned from labels of images alone knows where its score comes from. A few strokes on a few
images are enough to learn which pixels are the thing.
"""

import cv2
import matplotlib.pyplot as plt
import numpy as np

import cvbow
from cvbow.segmentation import make_scribbles


def scene(random, *, ball):
    """Straws in all directions, and among them a ball of another texture, perhaps; with its mask."""
    image = np.full((120, 160, 3), 90, np.uint8)
    for _ in range(260):
        x, y, angle = random.uniform(0, 160), random.uniform(0, 120), random.uniform(0, np.pi)
        end = (int(x + 18 * np.cos(angle)), int(y + 18 * np.sin(angle)))
        cv2.line(image, (int(x), int(y)), end, random.integers(60, 200, 3).tolist(), 1, cv2.LINE_AA)
    mask = np.zeros((120, 160), np.uint8)
    if ball:
        center = (int(random.integers(35, 125)), int(random.integers(35, 85)))
        cv2.circle(mask, center, int(random.integers(20, 32)), 1, -1)
        dots = random.integers(60, 200, (30, 40, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        image[mask == 1] = dots[mask == 1]
    return image, mask


random = np.random.default_rng(0)
labels = ["ball", "none"] * 15
learned = [scene(random, ball=label == "ball")[0] for label in labels]
images, masks = zip(*(scene(random, ball=True) for _ in range(12)), strict=True)

# From labels of images: the box of the largest sum of what its points gave.
model = cvbow.make_model("bow", settings={"n_words": 80, "grids": ("1x1",)}, n_jobs=1).fit(learned, labels)
places = cvbow.locate(model, list(images[:4]), "ball")

# From strokes on four images: the class of each pixel; 255 is where nobody has said anything.
strokes = [make_scribbles(mask, random_state=number) for number, mask in enumerate(masks[4:8])]
segmenter = cvbow.Segmenter(n_words=64, n_jobs=1).fit(images[4:8], strokes, classes=["straw", "ball"])

figure, axes = plt.subplots(2, 4, figsize=(10, 4.6))
for (above, below), image, found in zip(axes.T, images, places, strict=False):
    above.imshow(image)
    left, top, right, bottom = found.boxes[0]
    above.add_patch(plt.Rectangle((left, top), right - left, bottom - top, fill=False, color="lime", linewidth=2))
    below.imshow(image)
    below.imshow(np.ma.masked_equal(segmenter.predict(image), 0), cmap="autumn", alpha=0.6)
axes[0, 0].set_title("the box, from labels of images", loc="left", fontsize=10)
axes[1, 0].set_title("the pixels, from strokes on four others", loc="left", fontsize=10)
for axis in axes.flat:
    axis.set_axis_off()
figure.tight_layout()

# %%
# This is what the segmenter was told: black and white where a stroke is, gray where nothing was said.

figure, axes = plt.subplots(1, 4, figsize=(10, 2.2))
for axis, stroke in zip(axes, strokes, strict=True):
    axis.imshow(np.select([stroke == 0, stroke == 1], [0, 255], 128), cmap="gray", vmin=0, vmax=255)
    axis.set_axis_off()
figure.tight_layout()
said = np.mean([np.mean(stroke != 255) for stroke in strokes])
print(f"{said:.1%} of the pixels of four images")

# %%
# How well does it fit? Intersection over union, of the images that nobody has drawn on:

for kind, found in (
    ("box", [box_mask for box_mask in (np.zeros((120, 160), bool) for _ in range(4))]),
    ("mask", [segmenter.predict(image) == 1 for image in images[:4]]),
):
    if kind == "box":
        for mask, place in zip(found, places, strict=True):
            left, top, right, bottom = np.round(place.boxes[0]).astype(int)
            mask[top:bottom, left:right] = True
    overlaps = [np.sum(a & (b == 1)) / np.sum(a | (b == 1)) for a, b in zip(found, masks, strict=False)]
    print(f"{kind:5} {np.mean(overlaps):.2f}")
