"""
How do two photographs fit together?
====================================

Keypoints of the one are looked for in the other; the matches that agree on one homography say how to lay the
images over each other.
"""

import cv2
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

import cvbow

photo = load_sample_image("china.jpg")
height, width = photo.shape[:2]

# Two views: the left part as it is, and the right part from another place, darker.
corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
moved = np.float32([[-60, 30], [width - 110, -50], [width - 60, height + 20], [-30, height - 40]])
left = photo[:, :430]
right = cv2.warpPerspective(photo, cv2.getPerspectiveTransform(corners, moved), (width, height))[:, 160:500]
right = np.uint8(0.8 * right)

found = cvbow.match_images(left, right)

figure, axis = plt.subplots(figsize=(9, 4.6))
axis.imshow(np.hstack([left, right]))
for a, b in zip(found.points_a[found.inliers][::3], found.points_b[found.inliers][::3], strict=True):
    axis.plot([a[0], b[0] + left.shape[1]], [a[1], b[1]], color="gold", linewidth=0.6)
axis.set_title(f"{found.n_inliers} of {len(found.pairs)} matches agree on one homography")
axis.set_axis_off()
figure.tight_layout()

# %%
# The homography takes points of the left image to the right one. Its inverse lays the right image beside the
# left:

canvas = cv2.warpPerspective(right, np.linalg.inv(found.matrix), (width, height))
seen = cv2.warpPerspective(np.full(right.shape[:2], 255, np.uint8), np.linalg.inv(found.matrix), (width, height)) == 255
gain = np.median(left[seen[:, :430]]) / np.median(canvas[:, :430][seen[:, :430]])
panorama = np.uint8(np.clip(gain * canvas.astype(float), 0, 255))
panorama[:, :430] = left

figure, axis = plt.subplots(figsize=(9, 5.2))
axis.imshow(panorama)
axis.set_title("stitched")
axis.set_axis_off()
figure.tight_layout()

# %%
# How far is that from the truth? Where the right image lies, the mean difference from the photograph, in gray
# levels of 255:

error = np.abs(panorama.astype(float) - photo)[seen].mean()
print(f"the right image was given {1 / 0.8:.2f} times its light back: found {gain:.2f}")
print(f"mean difference: {error:.1f} levels")
