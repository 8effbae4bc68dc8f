"""
Is it right, and why?
=====================

Train on folders or arrays, judge on what was held out, and let the model say what in an image its answer came
from.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import cvbow

digits = load_digits()
drawn = np.random.default_rng(0).permutation(len(digits.images))[:500]
images = list(np.uint8(255 / 16 * digits.images[drawn]))
labels = digits.target[drawn].astype(str)

settings = {"min_side": 40, "bin_sizes": (4, 6, 8), "n_words": 100}
model = cvbow.make_model("bow", settings=settings, n_jobs=1).fit(images[:250], labels[:250])
report, answers = model.evaluate(images[250:], labels[250:])

wrong = np.flatnonzero(answers.labels != labels[250:])
surest = wrong[answers.probabilities[wrong].max(axis=1).argmax()]
image, true, said = images[250 + surest], labels[250 + surest], str(answers.labels[surest])
why = cvbow.explain(model, image, said, against=true)

figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), width_ratios=(1, 1, 1.5))
axes[0].imshow(image, cmap="gray")
axes[0].set_title(f"a {true}, said to be a {said}")
limit = abs(why.heat).max()
axes[1].imshow(why.heat, cmap="PuOr_r", vmin=-limit, vmax=limit)
axes[1].set_title(f"orange: for {said}; violet: for {true}")
words = sorted(why.words, key=lambda word: abs(word.share))[-8:]
axes[2].barh([f"word {word.word}" for word in words], [word.share for word in words], color="slategray")
axes[2].set_title("what its words gave")
for axis in axes[:2]:
    axis.set_axis_off()
figure.tight_layout()

# %%
# That is the surest of the mistakes. It is no guess about the model: the score *is* the sum of what the points
# gave, what the model says of an empty image, and a remainder that could not be shared out.

print(f"score {why.score:+.6f} = points {why.shares.sum():+.6f}, bias {why.bias:+.6f}, remainder {why.remainder:+.6f}")

# %%
# How often it is right, and how sure it may be:

print(f"{report.accuracy:.1%} of {report.n_images} images, mean of the classes {report.mean_class_accuracy:.1%}")
sets = model.predict_set(images[250:], coverage=0.98)
held = np.mean([label in found for label, found in zip(labels[250:], sets, strict=True)])
print(f"{held:.1%} of the sets that should hold the right label in 98 of 100 cases do so")
print(f"{np.mean([len(found) == 1 for found in sets]):.1%} of them are a single label")

# %%
# A model is one file of data. What comes back is the same model, and says so by its hash.

import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    model.save(Path(folder) / "digits.cvbow")
    again = cvbow.ImageClassifier.load(Path(folder) / "digits.cvbow")
print((again.predict(images[250:]) == answers.labels).all())
