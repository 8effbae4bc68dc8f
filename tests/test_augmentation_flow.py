"""Batches: classes, order, seeds, subsets, files that cannot be read, saved images, memory and workers."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cvbow.augmentation import ImageAugmenter, parse_saved_name
from cvbow.errors import CvbowError, DatasetError, ImageError
from cvbow.images import read_image
from cvbow.parallel import prefetched

GEOMETRY: dict[str, Any] = {
    "rotation_range": 20,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "brightness_range": (0.8, 1.2),
}


def images(n: int = 10, shape: tuple[int, ...] = (16, 12, 3)) -> NDArray[np.uint8]:
    """Images whose first pixel tells which one it is."""
    found = np.random.default_rng(0).integers(0, 256, (n, *shape)).astype(np.uint8)
    found[:, 0, 0] = np.arange(n).reshape(-1, *[1] * (len(shape) - 2))
    return found


def numbers(batch: NDArray[np.float32]) -> list[int]:
    return batch[:, 0, 0, 0].astype(int).tolist()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of 4, 5 and 6 images; each pixel tells the class and the number."""
    for label, (name, count) in enumerate((("ant", 4), ("bee", 5), ("cat", 6))):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((20, 30, 3), 10 * label + number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"img_{number}.png")
    return tmp_path / "data"


def test_an_epoch_has_every_image_once_and_then_comes_the_next() -> None:
    flow = ImageAugmenter().flow(images(), np.arange(10) * 2, 4, seed=3)
    assert len(flow) == 3
    epochs = []
    for _ in range(2):
        batches = [next(flow) for _ in range(3)]
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        for x, y in batches:
            assert x.dtype == np.float32
            assert [2 * number for number in numbers(x)] == y.tolist()
        epochs.append([number for x, _ in batches for number in numbers(x)])
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]
    assert flow.epoch == 2


def test_without_shuffling_the_order_is_the_given_one() -> None:
    flow = ImageAugmenter().flow(images(), batch_size=3, shuffle=False, sample_weight=np.arange(10) / 10)
    x, weights = next(flow)
    assert numbers(x) == [0, 1, 2]
    assert weights.tolist() == [0.0, 0.1, 0.2]
    assert numbers(flow[-1][0]) == [9]


@pytest.mark.parametrize(("n_jobs", "prefetch"), [(1, 3), (2, 0), (3, 2), (-1, 5)])
def test_batches_do_not_depend_on_workers(n_jobs: int, prefetch: int) -> None:
    augmenter = ImageAugmenter(**GEOMETRY)
    alone = augmenter.flow(images(), np.arange(10), 3, seed=7, n_jobs=1, prefetch=0)
    many = augmenter.flow(images(), np.arange(10), 3, seed=7, n_jobs=n_jobs, prefetch=prefetch)
    for _ in range(9):
        (x, y), (other_x, other_y) = next(alone), next(many)
        assert np.array_equal(x, other_x)
        assert np.array_equal(y, other_y)
    many.close()


def test_what_an_image_becomes_does_not_depend_on_the_batch_size() -> None:
    augmenter = ImageAugmenter(**GEOMETRY)
    small = augmenter.flow(images(), batch_size=1, seed=1, shuffle=False)
    large = next(augmenter.flow(images(), batch_size=10, seed=1, shuffle=False))
    assert np.array_equal(np.concatenate([next(small) for _ in range(10)]), large)
    # The second epoch transforms otherwise, and reset goes back to the first.
    assert not np.array_equal(next(small), large[:1])
    small.reset()
    assert np.array_equal(next(small), large[:1])


def test_seeds_differ_and_none_is_another_each_time() -> None:
    augmenter = ImageAugmenter(**GEOMETRY)
    found = [next(augmenter.flow(images(), batch_size=10, seed=seed)) for seed in (1, 1, 2, None, None)]
    assert np.array_equal(found[0], found[1])
    for one, two in ((0, 2), (2, 3), (3, 4)):
        assert not np.array_equal(found[one], found[two])


def test_batches_are_transformed_then_normalised() -> None:
    augmenter = ImageAugmenter(**GEOMETRY, rescale=1 / 255, samplewise_center=True)
    x = next(augmenter.flow(images(), batch_size=4, shuffle=False, seed=2))
    for index in range(4):
        seed = np.random.SeedSequence(2, spawn_key=(1, 0, index))
        expected = augmenter.standardize(augmenter.random_transform(images()[index], seed))
        assert np.array_equal(x[index], expected)


def test_subsets_of_arrays() -> None:
    augmenter = ImageAugmenter(validation_split=0.3)
    labels = np.array([0, 1] * 5)
    held = augmenter.flow(images(), labels, subset="validation", shuffle=False)
    rest = augmenter.flow(images(), labels, subset="training", shuffle=False)
    assert numbers(next(held)[0]) == [0, 1, 2]
    assert numbers(next(rest)[0]) == [3, 4, 5, 6, 7, 8, 9]
    with pytest.raises(ValueError, match="both subsets"):
        augmenter.flow(images(), np.sort(labels), subset="training")
    assert augmenter.flow(images(), np.sort(labels), subset="training", ignore_class_split=True).n == 7
    with pytest.raises(ValueError, match="validation_split above 0"):
        ImageAugmenter().flow(images(), subset="training")


ONE_HOT = np.eye(2, dtype=np.float32)[[0] * 5 + [1] * 5]


@pytest.mark.parametrize("y", [ONE_HOT, ONE_HOT.astype(int), ONE_HOT[:, :1], np.repeat(["a", "b"], 5)])
@pytest.mark.parametrize("subset", ["training", "validation"])
def test_sorted_labels_of_any_form_do_not_leave_a_subset_without_a_class(y: NDArray[Any], subset: str) -> None:
    augmenter = ImageAugmenter(validation_split=0.5)
    with pytest.raises(ValueError, match=r"y must have all its classes in both subsets, and .* is in one alone"):
        augmenter.flow(images(), y, subset=subset)
    assert augmenter.flow(images(), y, subset=subset, ignore_class_split=True).n == 5
    mixed = augmenter.flow(images(), y[[0, 5, 1, 6, 2, 7, 3, 8, 4, 9]], subset=subset)
    assert mixed.n == 5


def test_targets_that_are_no_classes_are_divided_as_they_come() -> None:
    boxes = np.arange(40).reshape(10, 4)
    flow = ImageAugmenter(validation_split=0.5).flow(images(), boxes, subset="validation", shuffle=False)
    assert np.array_equal(next(flow)[1], boxes[:5])


@pytest.mark.parametrize("mode", ["categorical", "sparse", "input", None])
def test_class_modes_of_a_folder(folder: Path, mode: str | None) -> None:
    flow = ImageAugmenter().flow_from_directory(folder, (8, 10), class_mode=mode, batch_size=15, seed=0)
    batch = next(flow)
    assert flow.class_indices == {"ant": 0, "bee": 1, "cat": 2}
    x = batch if mode is None else batch[0]
    assert x.shape == (15, 8, 10, 3)
    classes = x[:, 0, 0, 0].astype(int) // 10
    assert np.bincount(classes).tolist() == [4, 5, 6]
    if mode == "categorical":
        assert batch[1].shape == (15, 3)
        assert np.array_equal(batch[1], np.eye(3, dtype=np.float32)[classes])
    elif mode == "sparse":
        assert batch[1].dtype == np.int64
        assert np.array_equal(batch[1], classes)
    elif mode == "input":
        assert np.array_equal(batch[1], x)
        assert not np.shares_memory(batch[1], x)


def test_binary_classes_and_their_order(folder: Path) -> None:
    flow = ImageAugmenter().flow_from_directory(folder, classes=["cat", "ant"], class_mode="binary", batch_size=10)
    x, y = next(flow)
    assert flow.class_indices == {"cat": 0, "ant": 1}
    assert y.dtype == np.float32
    assert np.array_equal(y, (x[:, 0, 0, 0] < 10).astype(np.float32))
    with pytest.raises(ValueError, match="exactly two classes, got 3"):
        ImageAugmenter().flow_from_directory(folder, class_mode="binary")
    with pytest.raises(ValueError, match="classes must be folders with images, got 'dog'"):
        ImageAugmenter().flow_from_directory(folder, classes=["dog"])


def test_validation_split_of_a_folder_takes_the_first_of_each_class(folder: Path) -> None:
    augmenter = ImageAugmenter(validation_split=0.5)
    held = augmenter.flow_from_directory(folder, subset="validation")
    rest = augmenter.flow_from_directory(folder, subset="training")
    expected = [f"ant/img_{i}.png" for i in (0, 1)] + [f"bee/img_{i}.png" for i in (0, 1)]
    assert held.filenames == [*expected, *(f"cat/img_{i}.png" for i in (0, 1, 2))]
    assert held.n + rest.n == 15
    assert not set(held.filenames) & set(rest.filenames)


def test_gray_and_aspect_ratio(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = (0, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "a" / "wide.png")
    options: dict[str, Any] = {"class_mode": None, "color_mode": "grayscale"}
    kept = next(ImageAugmenter().flow_from_directory(tmp_path, (10, 10), keep_aspect_ratio=True, **options))
    assert kept.shape == (1, 10, 10, 1)
    assert np.unique(kept).tolist() == [150.0]  # the luma of green, all over the middle
    stretched = next(ImageAugmenter().flow_from_directory(tmp_path, (10, 10), **options))
    assert np.unique(stretched).tolist() == [0.0, 75.0, 150.0]  # a column of the ten is half black
    own = next(ImageAugmenter().flow_from_directory(tmp_path, None, interpolation="nearest", **options))
    assert own.shape == (1, 20, 40, 1)


def test_images_of_several_sizes_need_a_target(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for side in (8, 9):
        Image.fromarray(np.zeros((side, 8), np.uint8)).save(tmp_path / "a" / f"{side}.png")
    with pytest.raises(ValueError, match="target_size must be given where images differ in size"):
        next(ImageAugmenter().flow_from_directory(tmp_path, None))


def test_files_that_cannot_be_read_are_listed_and_change_nothing_else(folder: Path) -> None:
    augmenter = ImageAugmenter(**GEOMETRY)
    whole = next(augmenter.flow_from_directory(folder, (8, 8), batch_size=15, seed=1, shuffle=False))
    (folder / "bee" / "img_2.png").write_bytes(b"no image")
    flow = augmenter.flow_from_directory(folder, (8, 8), batch_size=15, seed=1, shuffle=False)
    for _ in range(2):
        x, y = next(flow)
        assert len(x) == len(y) == 14
    first = next(augmenter.flow_from_directory(folder, (8, 8), batch_size=15, seed=1, shuffle=False))
    assert np.array_equal(first[0], np.delete(whole[0], 6, axis=0))
    assert [Path(error.path).name for error in flow.skipped] == ["img_2.png"]
    with pytest.raises(ImageError, match="img_2"):
        next(augmenter.flow_from_directory(folder, batch_size=15, strict=True))


def test_no_image_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number in range(3):
        (tmp_path / "a" / f"{number}.jpg").write_bytes(b"")
    flow = ImageAugmenter().flow_from_directory(tmp_path, batch_size=2)
    with pytest.raises(CvbowError, match="none of the 3 images"):
        next(flow)


def test_a_folder_of_splits_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "sets").mkdir()
    folder.rename(tmp_path / "sets" / "train")
    with pytest.raises(DatasetError, match="splits train"):
        ImageAugmenter().flow_from_directory(tmp_path / "sets")
    with pytest.raises(FileNotFoundError):
        ImageAugmenter().flow_from_directory(tmp_path / "nowhere")


class Table:
    """Something with named columns that is no dict."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = columns

    def __getitem__(self, name: str) -> list[Any]:
        return self.columns[name]


@pytest.mark.parametrize("kind", [dict, Table])
def test_tables(folder: Path, kind: Any) -> None:
    table = kind(
        filename=["ant/img_0.png", "cat/img_1.png", "no.png", "bee/img_3.png"],
        label=["a", "c", "c", "b"],
        weight=[1.0, 2.0, 3.0, 4.0],
    )
    flow = ImageAugmenter().flow_from_dataframe(
        table, folder, y_col="label", weight_col="weight", class_mode="sparse", shuffle=False
    )
    x, y, weights = next(flow)
    assert x[:, 0, 0, 0].tolist() == [0, 21, 13]
    assert y.tolist() == [0, 2, 1]
    assert weights.tolist() == [1, 2, 4]
    assert [Path(error.path).name for error in flow.skipped] == ["no.png"]
    two = ImageAugmenter().flow_from_dataframe(table, folder, y_col="label", classes=["c", "a"], class_mode="binary")
    assert sorted(two.filenames) == ["ant/img_0.png", "cat/img_1.png"]
    raw = ImageAugmenter().flow_from_dataframe(table, folder, y_col="weight", class_mode="raw", shuffle=False)
    assert next(raw)[1].tolist() == [1.0, 2.0, 4.0]
    with pytest.raises(ValueError, match="y_col must name a column of dataframe, got 'class'"):
        ImageAugmenter().flow_from_dataframe(table, folder)
    with pytest.raises(ImageError, match=r"no\.png"):
        ImageAugmenter().flow_from_dataframe(table, folder, y_col="label", strict=True)


def test_lists_of_labels(folder: Path) -> None:
    table = {"filename": ["ant/img_0.png", "bee/img_0.png"], "class": [["x", "y"], "z"]}
    _, y = next(ImageAugmenter().flow_from_dataframe(table, folder, shuffle=False))
    assert y.tolist() == [[1, 1, 0], [0, 0, 1]]


def test_sorted_rows_of_a_table_do_not_leave_a_subset_without_a_class(folder: Path) -> None:
    table = {
        "filename": [f"{name}/img_{i}.png" for name in ("ant", "bee") for i in range(4)],
        "class": list("aaaabbbb"),
    }
    augmenter = ImageAugmenter(validation_split=0.5)
    for mode in ("categorical", "sparse", "binary"):
        with pytest.raises(
            ValueError, match=r"y_col must have all its classes in both subsets, and 'a' is in one alone"
        ):
            augmenter.flow_from_dataframe(table, folder, class_mode=mode, subset="training")
    options: dict[str, Any] = {"subset": "training", "shuffle": False, "class_mode": "sparse"}
    assert next(augmenter.flow_from_dataframe(table, folder, ignore_class_split=True, **options))[1].tolist() == [1] * 4
    mixed = {name: [column[i] for i in (0, 4, 1, 5, 2, 6, 3, 7)] for name, column in table.items()}
    assert next(augmenter.flow_from_dataframe(mixed, folder, **options))[1].tolist() == [0, 1, 0, 1]
    # Values as they are, and images without labels, are no classes.
    for mode in ("raw", None):
        assert augmenter.flow_from_dataframe(table, folder, class_mode=mode, subset="training").n == 4


class Frame:
    """Like a data frame: a list of names gives a table that lists its names, not its rows."""

    def __init__(self, **columns: list[Any]) -> None:
        self.columns = columns

    def __getitem__(self, name: str | list[str]) -> Any:
        if isinstance(name, list):
            return Frame(**{one: self.columns[one] for one in name})
        return self.columns[name]

    def __iter__(self) -> Any:
        return iter(self.columns)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(list(zip(*self.columns.values(), strict=True)), dtype)


def test_several_columns_give_their_values_and_never_their_names(folder: Path) -> None:
    table = Frame(filename=["ant/img_0.png", "bee/img_0.png"], x=[1.0, 2.0], y=[3.0, 4.0])
    make = ImageAugmenter().flow_from_dataframe
    raw = make(table, folder, y_col=["x", "y"], class_mode="raw", shuffle=False)
    assert next(raw)[1].tolist() == [[1, 3], [2, 4]]
    with pytest.raises(ValueError, match=r"y_col must be one column, several go with class_mode raw, got \['x', 'y'\]"):
        make(table, folder, y_col=["x", "y"])
    with pytest.raises(ValueError, match="x_col must give the name of a file in each row"):
        make(table, folder, x_col=["x", "y"], y_col="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weight_col must be finite numbers"):
        make(table, folder, y_col="x", weight_col=["filename", "y"])  # type: ignore[arg-type]


@pytest.mark.parametrize("nothing", [None, float("nan"), np.datetime64("NaT")])
def test_a_missing_label_or_name_is_told(folder: Path, nothing: Any) -> None:
    table = {"filename": ["ant/img_0.png", "bee/img_0.png"], "class": ["a", nothing]}
    for mode in ("categorical", "sparse"):
        with pytest.raises(ValueError, match=r"y_col must have no missing labels, got .* at position 1"):
            ImageAugmenter().flow_from_dataframe(table, folder, class_mode=mode)
    with pytest.raises(ValueError, match=r"x_col must give the name of a file in each row, got .* at position 1"):
        ImageAugmenter().flow_from_dataframe(table, folder, x_col="class", y_col="filename")


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["a", 1], {}, "y_col must hold labels of one kind, got 'a' at first and 1 at position 1"),
        ([["a"], "b"], {"class_mode": "sparse"}, r"y_col must give one label in each row, got \['a'\] at position 0"),
        (["a", "b"], {"classes": "ab"}, "classes must be a list of names, each once, got 'ab'"),
        (["a", "b"], {"classes": ["a", "a"]}, "classes must be a list of names, each once"),
        (["a", "b"], {"class_mode": "other"}, "class_mode must be one of categorical"),
    ],
)
def test_labels_of_a_table_that_are_refused(
    folder: Path, labels: list[Any], options: dict[str, Any], message: str
) -> None:
    table = {"filename": ["ant/img_0.png", "bee/img_0.png"], "class": labels}
    with pytest.raises(ValueError, match=message):
        ImageAugmenter().flow_from_dataframe(table, folder, **options)


def test_an_image_with_no_label_of_its_list_stays(folder: Path) -> None:
    table = {"filename": ["ant/img_0.png", "bee/img_0.png"], "class": [["x"], []]}
    assert next(ImageAugmenter().flow_from_dataframe(table, folder, shuffle=False))[1].tolist() == [[1], [0]]
    assert ImageAugmenter().flow_from_dataframe(table, folder, classes=["x"]).n == 1


@pytest.mark.parametrize("weights", [list("abcdefghij"), [1.0] * 9 + [float("nan")], [None] * 10])
def test_weights_are_finite_numbers(folder: Path, weights: list[Any]) -> None:
    with pytest.raises(ValueError, match="sample_weight must be finite numbers"):
        ImageAugmenter().flow(images(), sample_weight=weights)
    table = {"filename": ["ant/img_0.png"], "class": ["a"], "weight": weights[-1:]}
    with pytest.raises(ValueError, match="weight_col must be finite numbers"):
        ImageAugmenter().flow_from_dataframe(table, folder, weight_col="weight")


def saved(folder: Path, x: NDArray[Any]) -> NDArray[np.uint8]:
    folder.mkdir(exist_ok=True)
    next(ImageAugmenter().flow(x, shuffle=False, prefetch=0, save_to_dir=folder, save_prefix="made"))
    return np.stack([read_image(folder / f"made_{index}_0.png") for index in range(len(x))])


def test_images_of_either_range_are_saved_as_they_look(tmp_path: Path) -> None:
    pixels = images()
    pixels[0] //= 200  # a picture so dark that alone it would pass for one in [0, 1]
    for number, x in enumerate((pixels, pixels.astype(np.float64), (pixels / 255).astype(np.float32))):
        assert np.array_equal(saved(tmp_path / str(number), x), pixels)
    for x in (pixels / 127.5 - 1, pixels.astype(np.uint16) * 257, np.where(pixels == 7, np.nan, pixels)):
        with pytest.raises(ValueError, match=r"x must have values in \[0, 255\] or \[0, 1\] to be saved"):
            saved(tmp_path / "other", x)
        assert ImageAugmenter().flow(x).n == 10, "where nothing is saved, any range goes"


def test_a_single_image_is_no_set_of_images() -> None:
    for dtype in (np.uint8, np.float32):
        image = np.zeros((8, 8, 3), dtype)
        with pytest.raises(ValueError, match=r"x must hold several images, got one of shape \(8, 8, 3\)"):
            ImageAugmenter().flow(image)
        with pytest.raises(ValueError, match="x must hold several images"):
            ImageAugmenter(featurewise_center=True).fit(image)
        assert ImageAugmenter().flow(image[None]).n == 1


def test_saved_images_tell_their_source_and_are_what_was_made(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    augmenter = ImageAugmenter(**GEOMETRY)
    flow = augmenter.flow_from_directory(
        folder, (8, 8), batch_size=4, seed=0, save_to_dir=tmp_path / "out", save_prefix="my_set_1", n_jobs=2, prefetch=0
    )
    for _ in range(8):
        next(flow)
    flow.close()
    # A worker may still be writing, under a hidden name.
    saved = sorted((tmp_path / "out").glob("my_set_1*"))
    assert len(saved) >= 30
    for path in saved:
        prefix, index, epoch = parse_saved_name(path)
        assert prefix == "my_set_1"
        assert flow.source_of(path.name) == flow.filepaths[index]
        source = np.asarray(read_image(flow.filepaths[index]))[:8, :8]  # of one colour, so its size does not matter
        seed = np.random.SeedSequence(0, spawn_key=(1, epoch, index))
        assert np.array_equal(read_image(path), augmenter.random_transform(source, seed))
    with pytest.raises(FileNotFoundError):
        augmenter.flow(images(), save_to_dir=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="save_format must be one of"):
        augmenter.flow(images(), save_to_dir=tmp_path / "out", save_format="gif")


def test_memory_is_bounded_and_work_waits_for_the_caller() -> None:
    loaded = []
    lock = threading.Lock()

    class Counted(ImageAugmenter):
        def _random(self, image: NDArray[Any], seed: Any) -> NDArray[Any]:
            with lock:
                loaded.append(seed)
            return super()._random(image, seed)

    flow = Counted().flow(np.zeros((400, 100, 100), np.uint8), batch_size=10, n_jobs=2, prefetch=1)
    tracemalloc.start()
    for number in range(1, 81):
        next(flow)
        assert len(loaded) <= 10 * (number + 2 + 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    flow.close()
    # A batch of float32 takes 400 kB, and 80 of them 32 MB.
    assert peak < 8 * 400_000 * 2


def test_prefetched_keeps_order_passes_errors_on_and_ends() -> None:
    assert list(prefetched(lambda x: x * x, range(20), n_jobs=3, ahead=2)) == [x * x for x in range(20)]
    assert list(prefetched(abs, [], n_jobs=2)) == []

    def fail(x: int) -> int:
        return 1 // (3 - x)

    stream = prefetched(fail, iter(range(10)), n_jobs=2, ahead=1)
    assert [next(stream) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(stream)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"seed": -1}, "seed must be None or an integer >= 0, got -1"),
        ({"y": [1, 2]}, "y must have a value for each of 10 images, got 2"),
        ({"sample_weight": 1.0}, r"sample_weight must have a value for each of 10 images, got 1\.0"),
        ({"subset": "test"}, "subset must be one of training, validation, got 'test'"),
        ({"prefetch": -1}, "prefetch must be an integer >= 0, got -1"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageAugmenter(validation_split=0.1).flow(images(), **options)
    with pytest.raises(ValueError, match="x must have shape"):
        ImageAugmenter().flow(np.zeros((4, 4)))


def test_batches_beyond_the_epoch() -> None:
    with pytest.raises(IndexError, match="there are 2 batches"):
        ImageAugmenter().flow(images(), batch_size=5)[2]
