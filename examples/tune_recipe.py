"""
Which recipe suits my images?
=============================

A search tries recipes by cross-validation and keeps those that nothing beats in accuracy, time and size at
once.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import cvbow

digits = load_digits()
drawn = np.random.default_rng(0).permutation(len(digits.images))[:460]
pixels, names = np.uint8(255 / 16 * digits.images[drawn]), digits.target[drawn].astype(str)
images, labels = list(pixels[:160]), names[:160]

tuning = cvbow.tune(images, labels, evaluations=10, seed=0, n_jobs=1)

figure, axis = plt.subplots(figsize=(7, 4))
front = sorted(tuning.front, key=lambda one: one.milliseconds)
for some, style, name in ((tuning.outcomes, "o", "tried"), (front, "o-", "the front")):
    whole = [one for one in some if not one.stopped]
    axis.plot([one.milliseconds for one in whole], [100 * one.error for one in whole], style, label=name)
for one in front:
    place = (one.milliseconds, 100 * one.error)
    axis.annotate(one.recipe.name, place, fontsize=8, xytext=(5, 5), textcoords="offset points")
axis.set(xlabel="milliseconds an image", ylabel="error %, on images that were left out")
axis.legend()
figure.tight_layout()

# %%
# The front, as ``cvbow tune`` prints it. A recipe of it goes wherever a preset does.

print(tuning.table().text())

# %%
# The most accurate one learns from all of these images, and is judged on others. Of many recipes the best looks a
# little better than it is, so this figure counts, not that of the search.

model = cvbow.make_model(tuning.front[0].recipe, n_jobs=1).fit(images, labels)
print(f"{np.mean(model.predict(list(pixels[160:])) == names[160:]):.1%} of {len(names) - 160} other digits")
