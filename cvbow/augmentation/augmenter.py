"""Random transforms of images under the names that Keras's ``ImageDataGenerator`` made known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from cvbow._checks import check_choice, check_flag, check_int, check_real
from cvbow.augmentation._standardize import NORMALIZING, standardize
from cvbow.augmentation._transform import FILL_MODES, IDENTITY, apply, check_pixels, check_ranges, draw
from cvbow.augmentation.batches import BatchIterator
from cvbow.augmentation.samples import FileReader, array_samples, folder_samples
from cvbow.augmentation.tables import table_samples
from cvbow.images import ImageStatistics, read_image
from cvbow.images.pixels import is_lone_image
from cvbow.images.whitening import MomentMatrix
from cvbow.storage import Array, Learned, storable

#: What random numbers come from.
Seed = int | Sequence[int] | np.random.SeedSequence | np.random.Generator | None


@storable
class ImageAugmenter(BaseEstimator):  # type: ignore[misc]
    """Random rotations, shifts, shears, zooms, flips and changes of brightness, and the batches made with them.

    Names, defaults and meaning of the parameters are those of Keras's ``ImageDataGenerator``, and so is the order:
    rotation, shift, shear and zoom about the image's centre, channel shift, flips, brightness; then
    ``preprocessing_function``, ``rescale``, and what is normalised. All geometry is one resampling.

    Where it departs from keras-preprocessing 1.1.2, whose generator Keras 2 and 3 took over, it does so on purpose:

    =======================  =========================================  ================================================
    what                     keras-preprocessing 1.1.2                  here
    =======================  =========================================  ================================================
    geometry                 as here; Keras 3 exchanges rows and        height_shift_range moves rows, width_shift_range
                             columns: its height_shift_range moves      columns
                             columns
    centre                   (H / 2 + 0.5, W / 2 + 0.5), a pixel        (H / 2 - 0.5, W / 2 - 0.5)
                             beside it
    8-bit images             become float32, are not rounded            stay 8-bit until they are normalised: rounded
                                                                        after the warp and after the channel shift
    brightness               stretches values to [0, 255], cuts them    multiplies, clips to [0, 255]; float32 is not
                             to 8 bits, then multiplies                 rounded
    fill_mode "wrap"         the first and the last pixel coincide      repeats the image, as Keras says of its own
    fill_mode "constant"     cval from the border on                    less than a pixel beyond the border, blended
                                                                        with cval
    interpolation_order      0 to 5                                     0 or 1
    random numbers           of NumPy's global state, which is seeded   of the seed, the epoch and the image alone; the
                             anew for each batch                        global state is left alone
    standardize(x)           changes x                                  leaves x as it is
    standardize before fit   a warning                                  an error, where it needs what fit learns
    fit(augment=True)        rescales, then transforms                  transforms, then rescales
    a set of images          (n, H, W, C)                               (n, H, W) too; a single image is refused
    sorted y with subset     refused in flow, but not where y is        refused, also where y is one-hot and in a table;
                             one-hot, nor in a table                    ignore_class_split=True allows it
    labels in a table        text                                       text or numbers
    classes of a table       are sorted                                 keep their order
    a missing label or name  TypeError                                  ValueError with its position
    sample weights           flow takes anything; lost without y        finite numbers; come with x where there is no y
    y of "sparse"            float32                                    int64
    folders                  alphabetic order; an empty folder is a     natural order; an empty folder is no class;
                             class; links with follow_links             links are followed
    a file not to be read    an error                                   left out and listed, unless strict=True
    interpolation            nearest by default                         area by default
    save_to_dir              the normalised image, stretched to [0,     the transformed image in its own range, before
                             255]; two may get one random name          it is normalised; names of index and epoch
    only there               data_format, dtype, rgba, multi_output,
                             (x, more) for x
    =======================  =========================================  ================================================

    With OpenCV before 5, a place is rounded to 1/32 pixel before its value is interpolated.

    Parameters
    ----------
    featurewise_center, featurewise_std_normalization : bool, default False
        Subtract the mean, divide by the standard deviation, per channel, over the images given to ``fit``; the second
        implies the first.
    samplewise_center, samplewise_std_normalization : bool, default False
        The same with the image's own mean and deviation, over all its channels; the second implies the first.
    zca_whitening : bool, default False
        Whiten the flattened images by ZCA. Implies ``featurewise_center``, and overrides
        ``featurewise_std_normalization``.
    zca_epsilon : float, default 1e-6
        Added to the singular values of the images given to ``fit``.
    rotation_range : float, default 0
        Degrees; angles are drawn from [-rotation_range, rotation_range].
    width_shift_range, height_shift_range : float, int or sequence of numbers, default 0.0
        A float below 1 is a share of the side, from 1 on it is pixels; an int k draws whole pixels from the open
        interval (-k, k); of a sequence one element is drawn, with a random sign (a share of the side, when all are
        below 1).
    brightness_range : pair of float or None, default None
        Factors of the values, 1 leaves them. None: no change.
    shear_range : float, default 0.0
        Degrees.
    zoom_range : float or pair of float, default 0.0
        Factors for rows and for columns are drawn from [1 - zoom_range, 1 + zoom_range], or between the two; above 1
        the image shrinks.
    channel_shift_range : float, default 0.0
        A number from [-channel_shift_range, channel_shift_range] is added to all values, clipped to the image's range.
    fill_mode : {"nearest", "constant", "reflect", "wrap"}, default "nearest"
        What lies beyond the border: aaaa|abcd|dddd, cval, dcba|abcd|dcba, abcd|abcd|abcd.
    cval : float, default 0.0
    horizontal_flip, vertical_flip : bool, default False
        Mirror half of the images left to right, upside down.
    rescale : float or None, default None
        Factor of the values after the transform.
    preprocessing_function : callable or None, default None
        Called on each image, (H, W, C) float32, after the transform and before ``rescale``; returns an array of the
        same shape.
    validation_split : float, default 0.0
        Share of the images for ``subset="validation"``.
    interpolation_order : {0, 1}, default 1
        0: nearest pixel, 1: linear.

    Attributes
    ----------
    mean_, std_ : ndarray of shape (C,), float64
        Set by ``fit`` where they are needed.
    zca_whitening_matrix_ : ndarray of shape (H * W * C, H * W * C), float32

    Examples
    --------
    >>> import numpy as np
    >>> from cvbow import ImageAugmenter
    >>> image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    >>> ImageAugmenter().apply_transform(image, {"ty": 1, "flip_vertical": True}).tolist()
    [[9, 10, 11, 11], [5, 6, 7, 7], [1, 2, 3, 3]]
    """

    learned: ClassVar[Mapping[str, Learned]] = {
        "mean_": Array("floating", "n_channels"),
        "std_": Array("floating", "n_channels", minimum=0),
        "zca_whitening_matrix_": Array("floating", "d d", only_if="zca_whitening"),
    }

    def __init__(
        self,
        *,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[NDArray[np.float32]], NDArray[Any]] | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
    ) -> None:
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = brightness_range
        self.shear_range = shear_range
        self.zoom_range = zoom_range
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.validation_split = validation_split
        self.interpolation_order = interpolation_order

    def get_random_transform(self, img_shape: Sequence[int], seed: Seed = None) -> dict[str, Any]:
        """Draw the parameters of a transform.

        Parameters
        ----------
        img_shape : sequence of int
            (H, W) or (H, W, C).
        seed : int, sequence of int, SeedSequence, Generator or None
            None draws something else each time; a generator goes on.

        Returns
        -------
        dict
            ``theta`` and ``shear`` in degrees; ``tx`` and ``ty``, pixels by which what is shown lies further down and
            further right; ``zx`` and ``zy``, zoom of rows and of columns; ``flip_horizontal``, ``flip_vertical``;
            ``channel_shift_intensity`` and ``brightness``, None for no change. A positive theta turns what is shown
            clockwise.
        """
        self.check_params()
        return draw(vars(self), int(img_shape[0]), int(img_shape[1]), np.random.default_rng(seed))

    def apply_transform(self, x: NDArray[Any], transform_parameters: dict[str, Any]) -> NDArray[Any]:
        """Transform an image x (H, W) or (H, W, C), uint8 or real numbers; to uint8, or to float32.

        The `transform_parameters` are those that ``get_random_transform`` returns; what is missing changes nothing. The
        result has the shape of `x` and never shares memory with it. ValueError if a name is none of them.
        """
        self.check_params()
        unknown = set(transform_parameters) - set(IDENTITY)
        if unknown:
            names = ", ".join(sorted(IDENTITY))
            raise ValueError(f"transform_parameters must be among {names}, got {min(unknown)!r}")
        return self._apply(check_pixels(x), transform_parameters)

    def random_transform(self, x: NDArray[Any], seed: Seed = None) -> NDArray[Any]:
        """Transform an image at random; as ``apply_transform`` with what ``get_random_transform`` draws."""
        self.check_params()
        return self._random(check_pixels(x), seed)

    def standardize(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise an image (H, W) or (H, W, C), or a batch (n, H, W, C), as the parameters ask, to float32.

        The result is in memory of its own: unlike in Keras, `x` stays as it is. NotFittedError if a parameter needs
        what ``fit`` learns.
        """
        self.check_params()
        values = np.asarray(x)
        if values.ndim == 4:
            return np.stack([self._standardize(one) for one in values]) if len(values) else values.astype(np.float32)
        return self._standardize(check_pixels(values))

    def normalizing(self) -> dict[str, Any]:
        """Return the parameters that make ``standardize`` change values, by name."""
        return {name: value for name in NORMALIZING if (value := getattr(self, name))}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags

    def fit(
        self, x: ArrayLike | Iterable[Any], *, augment: bool = False, rounds: int = 1, seed: int | None = None
    ) -> Self:
        """Learn the mean, the deviation and the whitening that the parameters ask for, image by image.

        Parameters
        ----------
        x : ndarray of shape (n, H, W[, C]), or iterable of paths and arrays
            Images of one size. An iterable is read once for each round, an image at a time.
        augment : bool, default False
            Learn from randomly transformed images.
        rounds : int, default 1
            Passes over the images, when they are transformed.
        seed : int or None, default None
            Of the transforms.

        Raises
        ------
        ValueError
            If a parameter breaks its rule, there is no image, they differ in size, or are too large for ZCA.
        """
        self.check_params()
        check_flag("augment", augment)
        check_int("rounds", rounds, minimum=1)
        check_int("seed", seed, minimum=0, none=True)
        if is_lone_image(x):
            raise ValueError(f"x must hold several images, got one of shape {x.shape}")
        if rounds > 1 and iter(x) is x:  # type: ignore[arg-type]
            raise ValueError("x must be an array or a sequence where rounds is more than 1: an iterator ends")
        entropy = np.random.SeedSequence(seed).entropy
        statistics, moments = ImageStatistics(), MomentMatrix() if self.zca_whitening else None
        for number in range(rounds if augment else 1):
            for position, item in enumerate(x):  # type: ignore[arg-type]
                image = item if isinstance(item, np.ndarray) else read_image(item)
                values = check_pixels(image)
                if augment:
                    values = self._random(values, np.random.SeedSequence(entropy, spawn_key=(number, position)))
                values = values.astype(np.float32)
                if self.rescale:
                    values *= np.float32(self.rescale)
                statistics.add(values)
                if moments is not None:
                    moments.add(values)
        self.mean_, self.std_ = statistics.channel_mean, statistics.channel_std
        if moments is not None:
            self.zca_whitening_matrix_ = moments.whitening(self.mean_, float(self.zca_epsilon))
        return self

    def flow(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        batch_size: int = 32,
        *,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
        n_jobs: int | None = 1,
        prefetch: int = 2,
    ) -> BatchIterator:
        """Make batches of images in memory, endlessly.

        Parameters
        ----------
        x : ndarray of shape (n, H, W) or (n, H, W, C)
            uint8, or real numbers in [0, 255]. No copy is made.
        y : array of length n, optional
            Given with each batch, as it is.
        sample_weight : array of length n, optional
            Finite numbers, given with each batch as they are.
        batch_size : int, default 32
        shuffle : bool, default True
            Another random order in each epoch.
        seed : int or None, default None
            The same seed gives the same batches, for any `n_jobs` and `prefetch`.
        save_to_dir : path, optional
            An existing folder for the transformed images, as they are before normalisation:
            ``save_prefix_index_epoch.save_format``, so that no two have one name and ``source_of`` tells the source.
            Values in [0, 1] throughout `x` are saved times 255.
        save_prefix, save_format : str
            png, jpg, bmp, tif or webp.
        ignore_class_split : bool, default False
            Do not require both subsets to have all classes of y: its values (n,), or the columns in use of one-hot or
            multi-hot rows (n, n_classes).
        subset : {"training", "validation"}, optional
            The first ``validation_split`` of the images, or rows, are those for validation.
        n_jobs : int or None, default 1
            Threads that make batches.
        prefetch : int, default 2
            Batches that are made ahead, beyond one for each thread. 0, with one thread, makes a batch when it is asked
            for.

        Raises
        ------
        ValueError
            If an option breaks its rule, lengths differ, x is a single image, the subsets differ in their classes, or
            images to save have values in neither [0, 255] nor [0, 1].
        """
        self.check_params()
        samples = array_samples(x, y, sample_weight, subset, self.validation_split, ignore_class_split)
        return BatchIterator(
            self._random,
            self._standardize,
            samples,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            n_jobs=n_jobs,
            prefetch=prefetch,
        )

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: Sequence[int] | None = (256, 256),
        *,
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "area",
        keep_aspect_ratio: bool = False,
        strict: bool = False,
        n_jobs: int | None = 1,
        prefetch: int = 2,
    ) -> BatchIterator:
        """Make batches of the images in directory/<class>/, endlessly; each is read when its turn comes.

        Parameters
        ----------
        directory : path
            Links are followed. Files are in the natural order of their names; Keras's order is alphabetic.
        target_size : (int, int) or None, default (256, 256)
            (height, width). None leaves the images their sizes, which then must be one size.
        color_mode : {"rgb", "grayscale"}
            (H, W, 3) or (H, W, 1).
        classes : sequence of str, optional
            Class folders to take, in the order of their numbers; by default all, in alphabetic order.
        class_mode : {"categorical", "binary", "sparse", "input"} or None, default "categorical"
            y: one-hot rows; 0.0 or 1.0 for two classes; class numbers; the images themselves; no y.
        subset : {"training", "validation"}, optional
            The first ``validation_split`` of each class are those for validation.
        interpolation : {"area", "nearest", "bilinear", "bicubic", "lanczos"}, default "area"
            Of resizing; Keras's default is "nearest".
        keep_aspect_ratio : bool, default False
            Cut out the middle instead of stretching.
        strict : bool, default False
            Raise the ImageError of a file that cannot be read, instead of leaving the file out.
        batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, n_jobs, prefetch
            As for ``flow``.

        Raises
        ------
        FileNotFoundError, DatasetError
            If there is no such folder, or no class with images in it.
        ValueError
            If an option breaks its rule.
        """
        self.check_params()
        read = FileReader(target_size, color_mode, interpolation, keep_aspect_ratio)
        samples = folder_samples(directory, read, classes, class_mode, subset, self.validation_split)
        return BatchIterator(
            self._random,
            self._standardize,
            samples,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            n_jobs=n_jobs,
            prefetch=prefetch,
            strict=strict,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: str | list[str] = "class",
        *,
        weight_col: str | None = None,
        target_size: Sequence[int] | None = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "area",
        keep_aspect_ratio: bool = False,
        ignore_class_split: bool = False,
        validate_filenames: bool = True,
        strict: bool = False,
        n_jobs: int | None = 1,
        prefetch: int = 2,
    ) -> BatchIterator:
        """Make batches of the image files that a table names, endlessly.

        Parameters
        ----------
        dataframe : mapping or object with named columns
            ``dataframe[x_col]`` gives a column: a dict of lists, a pandas DataFrame, a structured array.
        directory : path, optional
            What relative file names are relative to.
        x_col, y_col, weight_col : str
            Columns of the files' names, of the labels, and of weights, if there are some. "categorical" takes lists of
            labels too, and "raw" a list of columns, whose values go side by side. None may lack a name or a label.
        classes : sequence of str, optional
            Labels in the order of their numbers; rows with others are left out. By default all, sorted.
        class_mode : {"categorical", "binary", "sparse", "input", "raw"} or None, default "categorical"
            As for ``flow_from_directory``; "raw" gives the column's values.
        subset, ignore_class_split
            As for ``flow``.
        validate_filenames : bool, default True
            Leave out rows whose file does not exist, and list them in ``skipped``.
        target_size, color_mode, batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, interpolation, \
keep_aspect_ratio, strict, n_jobs, prefetch
            As for ``flow_from_directory``.

        Raises
        ------
        ValueError
            If a column does not exist, is of another length or lacks a value, the subsets differ in their classes, or
            an option breaks its rule.
        ImageError
            For the first missing file, when strict.
        """
        self.check_params()
        samples = table_samples(
            dataframe,
            directory,
            FileReader(target_size, color_mode, interpolation, keep_aspect_ratio),
            x_col=x_col,
            y_col=y_col,
            weight_col=weight_col,
            classes=classes,
            class_mode=class_mode,
            subset=subset,
            validation_split=self.validation_split,
            ignore_class_split=ignore_class_split,
            validate_filenames=validate_filenames,
            strict=strict,
        )
        return BatchIterator(
            self._random,
            self._standardize,
            samples,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            n_jobs=n_jobs,
            prefetch=prefetch,
            strict=strict,
        )

    def _random(self, image: NDArray[Any], seed: Seed) -> NDArray[Any]:
        return self._apply(image, draw(vars(self), image.shape[0], image.shape[1], np.random.default_rng(seed)))

    def _apply(self, image: NDArray[Any], parameters: dict[str, Any]) -> NDArray[Any]:
        return apply(
            image, parameters, fill_mode=self.fill_mode, cval=float(self.cval), order=int(self.interpolation_order)
        )

    def _standardize(self, image: NDArray[Any]) -> NDArray[np.float32]:
        if self.featurewise_center or self.featurewise_std_normalization or self.zca_whitening:
            check_is_fitted(self, "mean_")
        return standardize(image, vars(self))

    def check_params(self) -> None:
        """Raise ValueError if a parameter breaks its rule."""
        for name in (*NORMALIZING[:5], "horizontal_flip", "vertical_flip"):
            check_flag(name, getattr(self, name))
        check_ranges(vars(self))
        check_real("zca_epsilon", self.zca_epsilon, minimum=0)
        check_choice("fill_mode", self.fill_mode, FILL_MODES)
        check_real("cval", self.cval, minimum=float(np.finfo(np.float32).min))
        if self.rescale is not None:
            check_real("rescale", self.rescale, minimum=float(np.finfo(np.float32).min))
        if self.preprocessing_function is not None and not callable(self.preprocessing_function):
            raise ValueError(f"preprocessing_function must be callable or None, got {self.preprocessing_function!r}")
        check_real("validation_split", self.validation_split, minimum=0)
        if self.validation_split >= 1:
            raise ValueError(f"validation_split must be below 1, got {self.validation_split!r}")
        check_int("interpolation_order", self.interpolation_order, minimum=0)
        if self.interpolation_order > 1:
            raise ValueError(f"interpolation_order must be 0 or 1, got {self.interpolation_order!r}")

    def check_state(self) -> None:
        """Raise ValueError if what was learned and stored does not fit together."""
        self.check_params()

    def __sklearn_is_fitted__(self) -> bool:
        return "mean_" in vars(self)
