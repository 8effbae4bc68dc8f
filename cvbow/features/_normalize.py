"""Normalisations of SIFT-like descriptors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Lowe's limit on a value's share of the descriptor's length, against non-linear changes of light.
CLIP = np.float32(0.2)


def normalize_sift(block: NDArray[np.float32], *, root: bool, threshold: float) -> None:
    """Normalise raw histograms (n, k) in place: clip at 0.2 of the length, then L2 norm 1, or RootSIFT.

    Rows shorter than ``threshold`` (L2, before clipping) become zero.
    """
    length = np.sqrt(np.einsum("ij,ij->i", block, block))
    np.minimum(block, (CLIP * length)[:, None], out=block)
    after = block.sum(axis=1) if root else np.sqrt(np.einsum("ij,ij->i", block, block))
    keep = (length >= max(threshold, np.finfo(np.float32).tiny)) & (after > 0)
    factor = np.divide(1, after, out=np.zeros_like(after), where=keep)
    block *= factor[:, None]
    if root:
        np.sqrt(block, out=block)


def normalize_channels(
    parts: NDArray[np.float32], out: NDArray[np.float32], *, root: bool, threshold: float, shares: tuple[float, ...]
) -> None:
    """Normalise the raw histograms of several channels (n_channels, n, k), in place, and join them in ``out``.

    Each channel's part of a row of ``out``, (n, n_channels * k), is normalised on its own, to a length of
    1 / sqrt(n_channels). Rows whose channels' lengths, by their ``shares``, are below ``threshold`` become zero.
    """
    n_channels, n, k = parts.shape
    contrast = np.array(shares, np.float32) @ np.sqrt(np.einsum("cij,cij->ci", parts, parts))
    for part, target in zip(parts, out.reshape(n, n_channels, k).swapaxes(0, 1), strict=True):
        normalize_sift(part, root=root, threshold=0)
        part[contrast < threshold] = 0
        np.multiply(part, np.float32(1 / np.sqrt(n_channels)), out=target)


def root_normalize(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return RootSIFT of non-negative descriptors (n, k): L1 norm 1, then the square root; zero rows stay zero."""
    total = descriptors.sum(axis=1, keepdims=True)
    scaled = np.divide(descriptors, total, out=np.zeros_like(descriptors), where=total > 0)
    return np.asarray(np.sqrt(scaled), np.float32)
