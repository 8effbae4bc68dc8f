"""Which images are for training and which for the test: counts, determinism, and what the draw may depend on."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvbow.datasets import LabelledImages
from cvbow.experiments import FixedSplit, HeldOut, KFold, RandomSplits
from cvbow.experiments._drawing import Split, smoke_split


def images(sizes: dict[str, int], partitions: tuple[tuple[str | None, ...], ...] = ()) -> LabelledImages:
    pairs = [(label, f"{label}/{number:03d}.png") for label, size in sizes.items() for number in range(size)]
    labels, names = (tuple(column) for column in zip(*pairs, strict=True))
    return LabelledImages(tuple(map(Path, names)), labels, names, partitions)


def reordered(data: LabelledImages, order: list[int]) -> LabelledImages:
    return LabelledImages(*(tuple(row[i] for i in order) for row in (data.images, data.labels, data.names)))


def counts(data: LabelledImages, positions: np.ndarray) -> Counter[str]:
    return Counter(data.labels[position] for position in positions)


def names(data: LabelledImages, positions: np.ndarray) -> set[str]:
    return {data.names[position] for position in positions}


def check(data: LabelledImages, split: Split) -> None:
    for part in (split.train, split.test):
        assert part.dtype == np.intp
        assert (np.diff(part) > 0).all()
        assert len(part)
        assert part[0] >= 0
        assert part[-1] < len(data)
    assert not set(split.train) & set(split.test)


SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(7, 15), min_size=2)


@given(SIZES, st.integers(1, 6), st.integers(1, 3), st.none() | st.integers(1, 4), st.integers(0, 5))
def test_random_splits(sizes: dict[str, int], train: int, repeats: int, limit: int | None, seed: int) -> None:
    data = images(sizes)
    splits = RandomSplits(train, repeats, limit).splits(data, seed=seed)
    assert len(splits) == repeats
    for split in splits:
        check(data, split)
        assert counts(data, split.train) == dict.fromkeys(sizes, train)
        rest = {label: size - train for label, size in sizes.items()}
        expected = {label: min(n, limit or n) for label, n in rest.items()}
        assert counts(data, split.test) == expected


@given(SIZES, st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_draw_depends_on_names_and_seed_alone(sizes: dict[str, int], seed: int, random: object) -> None:
    data = images(sizes)
    order = list(range(len(data)))
    random.shuffle(order)  # type: ignore[attr-defined]
    other = reordered(data, order)
    for protocol in (RandomSplits(3, 2, 2), KFold(3) if len(set(sizes.values())) == 1 else RandomSplits(2, 1)):
        for one, two in zip(protocol.splits(data, seed=seed), protocol.splits(other, seed=seed), strict=True):
            assert names(data, one.train) == names(other, two.train)
            assert names(data, one.test) == names(other, two.test)


def test_another_class_changes_no_draw() -> None:
    few, more = images({"a": 9, "b": 9}), images({"a": 9, "aa": 12, "b": 9})
    one, two = (RandomSplits(4, 1).splits(data)[0] for data in (few, more))
    assert names(few, one.train) == {name for name in names(more, two.train) if not name.startswith("aa/")}


def test_the_draw_is_the_one_written_down() -> None:
    """An oracle: whoever changes the draw changes every published result."""
    data = images({"a": 9})
    order = sorted(data.names, key=lambda name: hashlib.sha256(f"random 7 2\0{name}".encode()).digest())
    data = images({"a": 9, "b": 9})
    split = RandomSplits(4, 2).splits(data, seed=7)[1]
    assert {name for name in names(data, split.train) if name.startswith("a/")} == set(order[:4])


def test_seeds_and_repeats_differ() -> None:
    data = images({"a": 30, "b": 30})
    drawn = [
        frozenset(names(data, split.train))
        for seed in range(3)
        for split in RandomSplits(10, 3).splits(data, seed=seed)
    ]
    assert len(set(drawn)) == 9


def test_draws_are_about_uniform() -> None:
    data = images({"a": 20, "b": 20})
    drawn = Counter(i for split in RandomSplits(10, 400).splits(data) for i in split.train.tolist())
    # 200 expected, standard deviation 10.
    assert all(150 < drawn[position] < 250 for position in range(40))


def test_too_few_images_for_a_random_split() -> None:
    with pytest.raises(ValueError, match=r"train_per_class must be at most .* 'b' has 3 images, got 3"):
        RandomSplits(3).splits(images({"a": 9, "b": 3}))


@given(SIZES, st.integers(2, 7), st.integers(0, 3))
def test_k_fold(sizes: dict[str, int], folds: int, seed: int) -> None:
    data = images(sizes)
    splits = KFold(folds).splits(data, seed=seed)
    assert len(splits) == folds
    assert sorted(i for split in splits for i in split.test) == list(range(len(data)))
    assert max(len(split.test) for split in splits) - min(len(split.test) for split in splits) <= 1
    for split in splits:
        check(data, split)
        assert len(split.train) + len(split.test) == len(data)
        for label, size in sizes.items():
            assert size // folds <= counts(data, split.test)[label] <= -(-size // folds)


def test_k_fold_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="folds must be at most the 3 images of the smallest class, 'b', got 4"):
        KFold(4).splits(images({"a": 9, "b": 3}))
    with pytest.raises(ValueError, match="folds must be an integer >= 2, got 1"):
        KFold(1).splits(images({"a": 9}))


PARTS = ("train", "train", "validation", "test", None, "train", "test", "validation", "test", "test")


def test_the_fixed_split_is_the_one_that_comes_with_the_images() -> None:
    data = images({"a": 5, "b": 5}, (PARTS, PARTS[::-1]))
    first, second = FixedSplit().splits(data)
    assert first.train.tolist() == [0, 1, 5]
    assert first.test.tolist() == [3, 6, 8, 9]
    assert second.train.tolist() == [4, 8, 9]
    (both, _) = FixedSplit(train=("train", "validation")).splits(data)
    assert both.train.tolist() == [0, 1, 2, 5, 7]
    assert first.name != second.name


def test_a_fixed_split_can_be_thinned() -> None:
    parts = ("train",) * 6 + ("test",) * 6
    data = images({"a": 12, "b": 12}, (parts * 2,))
    (split,) = FixedSplit(train_per_class=4, max_test_per_class=5).splits(data)
    check(data, split)
    assert counts(data, split.train) == {"a": 4, "b": 4}
    assert counts(data, split.test) == {"a": 5, "b": 5}
    assert all(parts[position % 12] == "train" for position in split.train)
    (other,) = FixedSplit(train_per_class=4, max_test_per_class=5).splits(data, seed=1)
    assert other.train.tolist() != split.train.tolist()
    with pytest.raises(ValueError, match="train_per_class must be at most what each class has; 'a' has 6"):
        FixedSplit(train_per_class=7).splits(data)


def test_a_fixed_split_needs_one() -> None:
    with pytest.raises(ValueError, match="needs a split that comes with the data set: folders train/ and test/"):
        FixedSplit().splits(images({"a": 5, "b": 5}))
    with pytest.raises(ValueError, match="must have images to train on and to test with, got 10 and 0"):
        FixedSplit().splits(images({"a": 5, "b": 5}, (("train",) * 10,)))


def test_held_out_groups() -> None:
    data = LabelledImages(
        *(
            tuple(row)
            for row in zip(
                *(
                    (Path(name), label, name)
                    for label in "ab"
                    for scale in (1, 2, 10)
                    for view in range(2)
                    for name in [f"{label}/scale_{scale}_im_{view}.png"]
                ),
                strict=True,
            )
        )
    )
    splits = HeldOut(r"scale_(\d+)_").splits(data)
    assert [split.name for split in splits] == ["held out 1", "held out 2", "held out 10"]
    for split, scale in zip(splits, ("_1_", "_2_", "_10_"), strict=True):
        check(data, split)
        assert len(split.test) == 4
        assert all(f"scale{scale}" in name for name in names(data, split.test))
        assert len(split.train) == 8
    (ends,) = HeldOut(r"scale_(\d+)_", (("1", "10"),)).splits(data)
    assert all("scale_2_" in name for name in names(data, ends.train))
    with pytest.raises(ValueError, match="groups must be among 1, 2, 10, got '3'"):
        HeldOut(r"scale_(\d+)_", (("3",),)).splits(data)
    with pytest.raises(ValueError, match="pattern must be found in every name"):
        HeldOut(r"size_(\d+)_").splits(data)
    with pytest.raises(ValueError, match="pattern must have a group"):
        HeldOut(r"scale_\d+_").splits(data)


def test_a_smoke_split_is_a_small_part() -> None:
    data = images({f"class {number}": 60 for number in range(12)})
    whole = RandomSplits(40, 1).splits(data)[0]
    small = smoke_split(data, whole)
    check(data, small)
    assert set(small.train) < set(whole.train)
    assert set(small.test) < set(whole.test)
    assert set(counts(data, small.train).values()) == {20}
    assert set(counts(data, small.test).values()) == {10}
    assert len(counts(data, small.train)) == 5
    assert set(counts(data, small.train)) == set(counts(data, small.test))


def test_every_protocol_says_what_it_does() -> None:
    assert (
        RandomSplits(15, 5, 50).describe()
        == "5 random splits: 15 per class to train, at most 50 others per class in the test"
    )
    assert "all others in the test" in RandomSplits(100).describe()
    assert "train + validation" in FixedSplit(train=("train", "validation")).describe()
    assert "5-fold" in KFold().describe()
    assert "each in turn" in HeldOut("x(.)").describe()
