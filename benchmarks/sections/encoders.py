"""Encoders, from the descriptors of an image to its vector, one thread: Fisher vector and bag of words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from _measure import Turns, alternate, environment, has_scikit_image, pinned, rounded, summary
from numpy.typing import NDArray
from peers import vlfeat
from peers.opencv_bow import FLANN_KDTREE, bow_class

from cvbow.dictionary import GaussianMixtureDictionary, KMeansDictionary
from cvbow.encoders import BagOfWords, FisherVector
from cvbow.features import Features
from sections.gaussian_mixture import as_scikit_learn
from sections.inputs import ENCODED, Options, Reduction, images_to_encode

THREADS = 1
ROUNDS = 9

FISHER_LABELS = {
    "cvbow": "cvbow FisherVector.encode",
    "vlfeat": "VLFeat fisher, improved",
    "scikit-image": "scikit-image fisher_vector, improved",
}
BAG_LABELS = {
    "cvbow": "cvbow BagOfWords.encode",
    "opencv": "OpenCV BOWImgDescriptorExtractor.compute, less its SIFT.compute",
    "opencv-match": "OpenCV BFMatcher.match alone",
    "opencv-flann": "OpenCV FlannBasedMatcher.match alone, 5 trees, 50 checks (approximate)",
}

NOTES = (
    "A call encodes all images, one after the other; seconds are those of one image. The mixture and the words are "
    "cvbow's, learned from other images before the clock starts, and every contender has the same.",
    "Fisher vector: the gradients by means and deviations, signed square root, unit length. cvbow drops posteriors up "
    "to 1e-4 and VLFeat those below 1e-6, their defaults; scikit-image none. scikit-image's has the gradients by the "
    "weights besides, 1 value in 133, and gets the mixture as a scikit-learn estimator.",
    "cosine: mean over the images of the cosine of a contender's Fisher vector and cvbow's; for scikit-image without "
    "its gradients by the weights and with the sign of its second part turned, which is the opposite of the others'.",
    "Bag of words: the share of the descriptors that each word is the nearest to (in cvbow, normalization='l1').",
    "opencv: its class takes descriptors in C++, but in Python an image and keypoints, which it has described by an "
    "extractor first. Its time is that of the whole call on keypoints at cvbow's grid points less that of "
    "SIFT.compute on the same keypoints in the same round. opencv-match is the one call that the class makes once it "
    "has the descriptors, given cvbow's RootSIFT ones; counting the words is not in its time. That match and count "
    "give the class's own histogram is checked in every run. opencv-flann is the matcher of the tutorials.",
    "agree: share of the descriptors that are counted for the same word as in cvbow, at least (1 less half the "
    "distance of the histograms).",
)


def run(options: Options) -> dict[str, Any]:
    """Time the contenders, compare their vectors, and give the section's record."""
    n, n_gaussians, n_words = (2_000, 8, 30) if options.smoke else (50_000, 128, 1000)
    reduction = Reduction(options, n)
    source, images = images_to_encode(options, 2 if options.smoke else 4)
    features = [ENCODED.extract(image) for image in images]
    source["descriptors"] = [len(each) for each in features]
    source["learned_from"] = reduction.source
    left_out = ([] if has_scikit_image() else ["scikit-image: not installed"]) + (
        [] if vlfeat.available() else ["VLFeat: not installed"]
    )
    record = {
        "environment": environment(threads=THREADS, seed=options.seed, smoke=options.smoke),
        "input": source,
        "left_out": left_out,
        "notes": NOTES,
    }
    rounds = options.rounds_or(ROUNDS)
    fisher = FisherVector(GaussianMixtureDictionary(n_words=n_gaussians, max_iter=10))
    fisher.fit([_bag(reduction.reduced)])
    bag = BagOfWords(KMeansDictionary(n_words=n_words, max_iter=5), normalization="l1")
    bag.fit([_bag(reduction.descriptors)])
    print(f"Fisher vector, {n_gaussians} Gaussians, descriptors of images: {source['descriptors']}", file=sys.stderr)
    with pinned(THREADS):
        record["fisher"] = _fisher(fisher, [reduction(each) for each in features], rounds)
    print(f"bag of words, {n_words} words, descriptors of images: {source['descriptors']}", file=sys.stderr)
    with pinned(THREADS):
        record["bag-of-words"] = _bag_of_words(bag, features, images, rounds)
    return record


def _bag(descriptors: NDArray[np.float32]) -> Features:
    return Features(np.zeros((len(descriptors), 4), np.float32), descriptors, (1, 1))


def _per_image(turns: dict[str, Turns], n_images: int) -> dict[str, Turns]:
    return {name: Turns([seconds / n_images for seconds in turn.seconds]) for name, turn in turns.items()}


def _fisher(encoder: FisherVector, features: Sequence[Features], rounds: int) -> dict[str, Any]:
    mixture = encoder.dictionary_
    means, variances, weights = mixture.means_, mixture.variances_, mixture.weights_
    bags = [each.descriptors for each in features]
    contenders: dict[str, Callable[[int], list[NDArray[Any]]]] = {
        "cvbow": lambda _: [encoder.encode(each) for each in features]
    }
    if vlfeat.available():
        contenders["vlfeat"] = lambda _: [vlfeat.fisher(bag, means, variances, weights) for bag in bags]
    if has_scikit_image():
        from skimage.feature import fisher_vector

        peer = as_scikit_learn((means, variances, weights))
        contenders["scikit-image"] = lambda _: [fisher_vector(bag, peer, improved=True) for bag in bags]
    rows = summary(_per_image(alternate(contenders, rounds=rounds), len(bags)), FISHER_LABELS)
    vectors = {name: np.array(call(0), np.float64) for name, call in contenders.items()}
    if "scikit-image" in vectors:
        vectors["scikit-image"] = vectors["scikit-image"][:, len(weights) :]
        vectors["scikit-image"][:, means.size :] *= -1
    for row in rows:
        row["cosine"] = rounded(_cosine(vectors["cvbow"], vectors[row["name"]]), 6)
    return {"input": {"n_words": len(weights), "values": means.shape[1]}, "contenders": rows}


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.mean(np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def _bag_of_words(
    encoder: BagOfWords, features: Sequence[Features], images: Sequence[NDArray[np.uint8]], rounds: int
) -> dict[str, Any]:
    words = encoder.dictionary_.words_
    bags = [each.descriptors for each in features]
    sift = cv2.SIFT_create()
    # At angle 0 and the size of a bin of 4 pixels; what is described does not change the time of the rest.
    keypoints = [[cv2.KeyPoint(float(x), float(y), 8 / 3, 0.0) for x, y in each.points[:, :2]] for each in features]
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    flann = cv2.FlannBasedMatcher({"algorithm": FLANN_KDTREE, "trees": 5}, {"checks": 50})
    for each in (matcher, flann):
        each.add([words])
        each.train()
    extractor = bow_class("BOWImgDescriptorExtractor")(sift, cv2.BFMatcher(cv2.NORM_L2))
    extractor.setVocabulary(words)
    jobs = list(zip(images, keypoints, strict=True))
    contenders: dict[str, Callable[[int], list[Any]]] = {
        "cvbow": lambda _: [encoder.encode(each) for each in features],
        "opencv": lambda _: [extractor.compute(*job) for job in jobs],
        "sift": lambda _: [sift.compute(*job) for job in jobs],
        "opencv-match": lambda _: [matcher.match(bag) for bag in bags],
        "opencv-flann": lambda _: [flann.match(bag) for bag in bags],
    }
    turns = _per_image(alternate(contenders, rounds=rounds), len(bags))
    for whole, described in zip(contenders["opencv"](0), contenders["sift"](0), strict=True):
        if not np.allclose(whole[0], _histogram(matcher.match(described[1]), len(words)), rtol=0, atol=1e-6):
            raise RuntimeError("OpenCV's matcher does not give the histogram of its class: not the same work")
    describing = turns.pop("sift").seconds
    whole = turns["opencv"].seconds
    turns["opencv"] = Turns([both - first for both, first in zip(whole, describing, strict=True)])
    rows = summary(turns, BAG_LABELS)
    ours = contenders["cvbow"](0)
    for row in rows:
        if row["name"] in ("opencv-match", "opencv-flann"):
            theirs = [_histogram(matches, len(words)) for matches in contenders[row["name"]](0)]
            apart = [np.abs(a - b).sum() / 2 for a, b in zip(ours, theirs, strict=True)]
            row["agree"] = rounded(1 - float(np.mean(apart)), 6)
    given = {"n_words": len(words), "values": words.shape[1]}
    return {"input": given, "opencv_rounds": {"whole": _digits(whole), "sift": _digits(describing)}, "contenders": rows}


def _histogram(matches: Sequence[cv2.DMatch], n_words: int) -> NDArray[np.float64]:
    return np.bincount([match.trainIdx for match in matches], minlength=n_words) / len(matches)


def _digits(seconds: Sequence[float]) -> list[float]:
    return [rounded(each) for each in seconds]
