"""
Has the model learned the thing, or a stamp?
============================================

A model that is right may be right for the wrong reason. Here the images of one class all have a small stamp in
a corner: the mean heat shows it at once.
"""

import cv2
import matplotlib.pyplot as plt
import numpy as np

import cvbow


def texture(kind, random, stamp):
    """Blurred noise, of one direction or the other, and perhaps a stamp in the corner."""
    sigma_x, sigma_y = (1.57, 1.43) if kind == "lying" else (1.43, 1.57)
    noise = cv2.GaussianBlur(random.normal(0, 1, (96, 96)).astype(np.float32), (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)
    image = np.uint8(np.clip(128 + 40 * noise / noise.std() + random.normal(0, 20, noise.shape), 0, 255))
    if stamp:
        cv2.putText(image, "(c)", (62, 90), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2)
    return image


random = np.random.default_rng(0)
kinds = ["lying", "standing"] * 30
stamped = [texture(kind, random, stamp=kind == "standing") for kind in kinds]
clean = [texture(kind, random, stamp=False) for kind in kinds]

model = cvbow.make_model("fast", settings={"n_words": 30}, n_jobs=1).fit(stamped, kinds)
reasons = cvbow.explain(model, stamped, ["standing"])
heat = np.mean([why.heat for why in reasons], axis=0)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.1))
axes[0].imshow(stamped[0], cmap="gray", vmin=0, vmax=255)
axes[0].set_title("lying")
axes[1].imshow(stamped[1], cmap="gray", vmin=0, vmax=255)
axes[1].set_title("standing")
axes[2].imshow(heat, cmap="PuOr_r", vmin=-abs(heat).max(), vmax=abs(heat).max())
axes[2].set_title("mean heat for 'standing'")
for axis in axes:
    axis.set_axis_off()
figure.tight_layout()

# %%
# With the stamp it is always right; without, it misses some of the class that had one:

for name, images in (("with the stamp", stamped), ("without", clean)):
    right = model.predict(images) == kinds
    print(f"{name:15} lying {right[::2].mean():.0%}, standing {right[1::2].mean():.0%}")

# %%
# Trained on clean images, the same recipe learns the texture, as far as it can be told. ``cvbow audit`` looks for such
# shortcuts before a model is trained, and the page of ``cvbow explain MODEL DIR -o why.html`` has the mean heat of each
# class.

honest = cvbow.make_model("fast", settings={"n_words": 30}, n_jobs=1).fit(clean[:40], kinds[:40])
print(f"learned without stamps: {np.mean(honest.predict(clean[40:]) == kinds[40:]):.0%} of images that were held out")
