"""Normalisations against NumPy and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from cvbow.images import (
    FeaturewiseScaler,
    from_unit,
    rescale_to_bytes,
    samplewise_center,
    samplewise_standardize,
    to_unit,
)

RNG = np.random.default_rng(4)
TRAIN = RNG.integers(0, 256, (40, 5, 6, 3), dtype=np.uint8)
TEST = RNG.integers(0, 256, (7, 5, 6, 3), dtype=np.uint8)
SCALERS = [FeaturewiseScaler(), FeaturewiseScaler(over="pixel"), FeaturewiseScaler(center=False)]
SCALERS += [FeaturewiseScaler(standardize=False)]


@given(arrays(np.uint8, (3, 4)))
def test_unit_and_back(image: np.ndarray) -> None:
    unit = to_unit(image)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, image / 255, rtol=1e-6)
    np.testing.assert_array_equal(from_unit(unit), image)


@given(arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)))
def test_bytes_span_the_whole_range(image: np.ndarray) -> None:
    found = rescale_to_bytes(image)
    if np.ptp(image.astype(float)) == 0:
        assert not found.any()
    else:
        assert (found.min(), found.max()) == (0, 255)
        # The order stays: nothing brighter becomes darker.
        order = np.argsort(image, axis=None)
        assert (np.diff(found.ravel()[order].astype(int)) >= 0).all()


def test_bytes_of_a_given_range_are_cut_off() -> None:
    assert rescale_to_bytes(np.array([[-9.0, 0.0, 5.0, 99.0]]), low=0, high=10).tolist() == [[0, 0, 128, 255]]


def test_samplewise_by_hand() -> None:
    image = np.array([[0, 4], [0, 4]], np.uint8)
    assert samplewise_center(image).tolist() == [[-2, 2], [-2, 2]]
    np.testing.assert_allclose(samplewise_standardize(image, eps=0.5), image / 2.5)
    assert not samplewise_standardize(np.zeros((2, 2)), eps=0).any()
    found = np.stack([samplewise_standardize(samplewise_center(image)) for image in TRAIN])
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(1, 2, 3)), 1, atol=1e-5)


def test_featurewise_per_pixel_is_scikit_learns() -> None:
    flat = TRAIN.reshape(40, -1).astype(np.float64)
    reference = StandardScaler().fit(flat)
    scaler = FeaturewiseScaler(over="pixel").fit(TRAIN)
    np.testing.assert_allclose(scaler.mean_.ravel(), reference.mean_)
    found = scaler.transform(TEST)
    np.testing.assert_allclose(found.reshape(7, -1), reference.transform(TEST.reshape(7, -1).astype(float)), atol=1e-5)


def test_featurewise_per_channel() -> None:
    scaler = FeaturewiseScaler().fit(TRAIN)
    np.testing.assert_allclose(scaler.mean_, TRAIN.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(scaler.std_, TRAIN.std(axis=(0, 1, 2)))
    found = scaler.transform(TEST)
    expected = (TEST - TRAIN.mean(axis=(0, 1, 2))) / (TRAIN.std(axis=(0, 1, 2)) + 1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    gray = FeaturewiseScaler(standardize=False).fit(TRAIN[..., 0])
    np.testing.assert_allclose(gray.transform(TEST[..., 0]), TEST[..., 0] - TRAIN[..., 0].mean(), atol=1e-4)


def test_what_does_not_vary_becomes_zero() -> None:
    same = np.full((3, 2, 2), 9, np.uint8)
    scaler = FeaturewiseScaler(eps=0).fit(same)
    assert not scaler.transform(same).any()
    assert (scaler.inverse_transform(scaler.transform(same)) == 9).all()


@pytest.mark.parametrize("scaler", SCALERS, ids=repr)
def test_there_and_back(scaler: FeaturewiseScaler) -> None:
    scaler = clone(scaler).fit(TRAIN)
    again = scaler.inverse_transform(scaler.transform(TRAIN))
    assert np.abs(again - TRAIN).max() <= 1e-3


@pytest.mark.parametrize("scaler", SCALERS, ids=repr)
def test_the_contract_of_a_transformer(scaler: Any) -> None:
    before = TRAIN.copy()
    with pytest.raises(NotFittedError):
        clone(scaler).transform(TEST)
    fitted = clone(scaler).fit(TRAIN, np.zeros(40))
    found = fitted.transform(TEST)
    assert found.shape == TEST.shape
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, fitted.transform(list(TEST)))
    # An image's result does not depend on its company.
    np.testing.assert_allclose(fitted.transform(TEST[2:3])[0].astype(float), found[2], atol=1e-4)
    assert not np.shares_memory(fitted.transform(found.astype(np.float32)), found)
    np.testing.assert_array_equal(TRAIN, before)
    with pytest.raises(ValueError, match="images must have the shape they had in fit"):
        fitted.transform(TEST[:, :4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FeaturewiseScaler().fit(np.zeros((4, 4), np.uint8)), r"images must have shape \(n, H, W\)"),
        (lambda: FeaturewiseScaler().fit([]), "images must have shape"),
        (lambda: FeaturewiseScaler().fit([np.zeros((2, 2)), np.zeros((3, 2))]), "images must have one size"),
        (lambda: FeaturewiseScaler().fit(np.full((1, 2, 2), np.nan)), "images must be finite real numbers"),
        (lambda: FeaturewiseScaler(over="image").fit(TRAIN), "over must be one of channel, pixel"),
        (lambda: FeaturewiseScaler(center=1).fit(TRAIN), "center must be True or False"),
        (lambda: FeaturewiseScaler(eps=-1).fit(TRAIN), "eps must be a number >= 0"),
        (lambda: rescale_to_bytes(np.array([[np.inf]])), "finite"),
        (lambda: rescale_to_bytes(np.zeros((1, 1)), low=float("nan")), "low must be a number"),
        (lambda: from_unit(np.array([[np.nan]])), "finite"),
        (lambda: samplewise_standardize(TEST, eps=-1), "eps must be a number >= 0"),
    ],
)
def test_mistakes_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
