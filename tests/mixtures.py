"""Gaussian mixtures by their definition, in float64 and one density at a time; and VLFeat, where it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cvbow.dictionary import GaussianMixtureDictionary

Parameters = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def random_mixture(n_words: int, k: int, *, seed: int = 0) -> Parameters:
    """Weights (n_words,), means and variances (n_words, k) of Gaussians that overlap."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 2, n_words)
    means = 2 * rng.standard_normal((n_words, k))
    variances = rng.uniform(0.3, 3, (n_words, k))
    return (weights / weights.sum()).astype(np.float32), means.astype(np.float32), variances.astype(np.float32)


def draw(parameters: Parameters, n: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Descriptors (n, k) from a mixture."""
    weights, means, variances = parameters
    rng = np.random.default_rng(seed)
    word = rng.choice(len(weights), n, p=weights / weights.sum(dtype=np.float64))
    return (means[word] + np.sqrt(variances[word]) * rng.standard_normal((n, means.shape[1]))).astype(np.float32)


def as_dictionary(parameters: Parameters, **settings: Any) -> GaussianMixtureDictionary:
    """A dictionary that has learned just this mixture."""
    dictionary = GaussianMixtureDictionary(n_words=len(parameters[0]), **settings)
    dictionary.weights_, dictionary.means_, dictionary.variances_ = parameters
    return dictionary


def log_joint(parameters: Any, descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
    """log(w_j N(x_i; m_j, v_j)), shape (n, n_words)."""
    weights, means, variances = (np.asarray(values, np.float64) for values in parameters)
    found = np.empty((len(descriptors), len(weights)))
    for i, x in enumerate(np.asarray(descriptors, np.float64)):
        for j in range(len(weights)):
            density = -0.5 * np.sum((x - means[j]) ** 2 / variances[j] + np.log(2 * np.pi * variances[j]))
            found[i, j] = np.log(weights[j]) + density
    return found


def log_density(parameters: Any, descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log of the mixture's density at each descriptor, shape (n,)."""
    joint = log_joint(parameters, descriptors)
    largest = joint.max(axis=1)
    return np.asarray(largest + np.log(np.exp(joint - largest[:, None]).sum(axis=1)))


def posteriors(parameters: Any, descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Each Gaussian's probability given each descriptor, shape (n, n_words)."""
    return np.asarray(np.exp(log_joint(parameters, descriptors) - log_density(parameters, descriptors)[:, None]))


def load_vlfeat() -> ModuleType:
    """Import the wrapper of VLFeat, or skip the test with the reason."""
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "peers" / "vlfeat.py"
    if not path.is_file():
        pytest.skip("needs benchmarks/peers, which this copy of the tests comes without")
    spec = importlib.util.spec_from_file_location("vlfeat_peer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not module.available():
        pytest.skip("needs VLFeat 0.9.21 (Debian: apt install libvlfeat1)")
    return module
