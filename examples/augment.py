"""
What do transformed copies give?
================================

Images that are turned, shifted and scaled teach a model what does not matter. That helps where the new images
differ so, and little where they do not.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_sample_image

import cvbow

photo = load_sample_image("flower.jpg")[40:400, 120:480]
augmenter = cvbow.ImageAugmenter(
    rotation_range=25,
    zoom_range=0.25,
    shear_range=10,
    horizontal_flip=True,
    brightness_range=(0.7, 1.3),
    fill_mode="reflect",
)

figure, axes = plt.subplots(2, 4, figsize=(9, 4.6))
axes.flat[0].imshow(photo)
axes.flat[0].set_title("the image")
for number, axis in enumerate(axes.flat[1:]):
    axis.imshow(np.uint8(augmenter.random_transform(photo, seed=number)))
for axis in axes.flat:
    axis.set_axis_off()
figure.tight_layout()

# %%
# Does it help? Ten training images of each of five digits. The test images are once as they come, and once turned
# by up to 25 degrees.

digits = load_digits()
images, labels = np.uint8(255 / 16 * digits.images), digits.target.astype(str)
few = np.concatenate([np.flatnonzero(labels == name)[:10] for name in "01234"])
test = np.concatenate([np.flatnonzero(labels == name)[100:120] for name in "01234"])
turner = cvbow.ImageAugmenter(rotation_range=25)
straight = list(images[test])
turned = [np.uint8(turner.random_transform(image, seed=number)) for number, image in enumerate(straight)]

for copies in (0, 4):
    settings = {"min_side": 40, "bin_sizes": (4, 6), "n_words": 60, "augment": copies, "augment_with": ("rotate",)}
    model = cvbow.make_model("bow", settings=settings, n_jobs=1).fit(list(images[few]), labels[few])
    rates = [np.mean(model.predict(some) == labels[test]) for some in (straight, turned)]
    print(f"{copies} copies of each: {rates[0]:.0%} as they come, {rates[1]:.0%} turned")

# %%
# ``ImageAugmenter`` has the parameters of Keras's ``ImageDataGenerator``, and their meaning; ``flow`` and
# ``flow_from_directory`` give batches. What copies gain on 15-Scene is measured in the benchmarks.
