"""
What are the words of a model?
==============================

A model of visual words says what it has learned: for each class the words that give most to its score, and what
they look like.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import cvbow
from cvbow.explanation import word_gallery

digits = load_digits()
images = np.uint8(255 / 16 * digits.images[:400])  # 8 x 8 pixels each
labels = digits.target[:400].astype(str)

settings = {"min_side": 40, "bin_sizes": (4, 6), "n_words": 60, "grids": ("1x1",)}
model = cvbow.make_model("bow", settings=settings, n_jobs=1).fit(images[:300], labels[:300])
gallery = word_gallery(model, list(images[300:]), labels[300:])

# %%
# A row for each digit: an image of it, then the mean patches of its five most important words. Strokes are
# bright.

shown = ["0", "1", "4", "7"]
figure, axes = plt.subplots(len(shown), 6, figsize=(8, 5.6))
for row, name in zip(axes, shown, strict=True):
    row[0].imshow(images[labels == name][0], cmap="gray")
    row[0].set_title(f"a {name}", fontsize=9)
    for axis, use in zip(row[1:], gallery.words_for(name, 5), strict=True):
        axis.imshow(use.means[0], cmap="gray")
        axis.set_title(f"{use.name}: {use.share[gallery.classes.index(name)]:+.2f}", fontsize=9)
for axis in axes.flat:
    axis.set_axis_off()
figure.tight_layout()

# %%
# The figure above a word is what it gives to the score of its class, on average over the images of that class.
# For the others it is less:

for name in shown:
    (word,) = gallery.words_for(name, 1)
    place = gallery.classes.index(name)
    here, elsewhere = word.share[place], word.share_elsewhere[place]
    print(f"{word.name} gives {here:+.2f} to {name} where it is one, {elsewhere:+.2f} elsewhere")

# %%
# How good are these sixty words without any place in the image?

report, _ = model.evaluate(list(images[300:]), labels[300:])
print(f"{report.accuracy:.1%} of {report.n_images} other digits")
