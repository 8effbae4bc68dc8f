"""
Is a network better, and what does it cost?
===========================================

Any network in an ONNX file is a backend like the others: same images, same splits, same classifier head. This
one is made here, of Gabor filters that nobody trained; with a trained one, put its file in its place.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from cvbow import BagEncoder, BagOfWords, DenseSIFT, KMeansDictionary, LinearSVM
from cvbow.backends import CnnEncoder, RawPixels


def gabor(angle, wavelength):
    """A filter of 7 x 7 values for bars of one direction and width."""
    y, x = np.mgrid[-3:4, -3:4]
    along = x * np.cos(angle) + y * np.sin(angle)
    values = np.exp(-(x**2 + y**2) / 8) * np.cos(2 * np.pi * along / wavelength)
    return values - values.mean()


filters = np.float32([gabor(angle, wavelength) for wavelength in (4, 7) for angle in np.arange(8) * np.pi / 8])
network = helper.make_model(
    helper.make_graph(
        [
            helper.make_node("Conv", ["image", "filters"], ["bars"], pads=[3, 3, 3, 3]),
            helper.make_node("Relu", ["bars"], ["strengths"]),
            helper.make_node("AveragePool", ["strengths"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Flatten", ["cells"], ["vector"]),
        ],
        "gabor",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 32, 32])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, 256])],
        [numpy_helper.from_array(filters[:, None], "filters")],
    ),
    opset_imports=[helper.make_opsetid("", 13)],
    ir_version=8,
)

digits = load_digits()
images, labels = list(np.uint8(255 / 16 * digits.images[:400])), digits.target[:400]
words = BagOfWords(KMeansDictionary(n_words=60))

with tempfile.TemporaryDirectory() as folder:
    onnx.save(network, Path(folder) / "gabor.onnx")
    backends = {
        "pixels": RawPixels(size=8),
        "visual words": BagEncoder(DenseSIFT(min_side=40, bin_sizes=(4, 6)), words, sample=8000),
        "network": CnnEncoder(
            Path(folder) / "gabor.onnx",
            layer="vector",
            size=32,
            channel_order="gray",
            mean=0.0,
            scale=1 / 255,
            resize="stretch",
        ),
    }
    accuracy, seconds = {}, {}
    for name, backend in backends.items():
        started = time.perf_counter()
        accuracy[name] = cross_val_score(make_pipeline(backend, LinearSVM()), images, labels, cv=4)
        seconds[name] = time.perf_counter() - started

figure, axis = plt.subplots(figsize=(7, 3.6))
for name in backends:
    axis.errorbar(
        seconds[name], 100 * accuracy[name].mean(), yerr=100 * accuracy[name].std(), fmt="o", capsize=4, label=name
    )
axis.set(xlabel="seconds for four folds, learning included", ylabel="accuracy %")
axis.legend()
figure.tight_layout()

# %%
# Which of the differences are more than chance? The folds are the same for all, so they are compared fold by
# fold:

for name, found in accuracy.items():
    gain = found - accuracy["pixels"]
    print(f"{name:13} {found.mean():.1%}, beside pixels {gain.mean():+.1%} (standard deviation {gain.std(ddof=1):.1%})")

# %%
# ``cvbow compare photos -w pixels -w fast -w net.onnx -w both=fast+net.onnx`` does it for folders of images, with
# intervals, tests that are corrected for their number, memory and milliseconds an image.
