"""VLFeat's dense SIFT, Gaussian mixture and Fisher vector, called in the system's `libvl` through ctypes.

`apt install libvlfeat1` is all it needs: no compiler, no Cython. The structures and signatures are those of the public
headers of VLFeat 0.9.21, the last release; another version is refused, because the layout of its filter is not known.
`DenseSift.process` gives a view of VLFeat's own memory, so what is timed is VLFeat's work alone; cyvlfeat, which gives
the same numbers, adds a tenth for its copy on the way out.

Peer: A. Vedaldi and B. Fulkerson, "VLFeat: An Open and Portable Library of Computer Vision Algorithms", 2008.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["DenseSift", "available", "dsift", "fisher", "gmm"]

VERSION = "0.9.21"
_VL_TYPE_FLOAT = 1
_VL_FISHER_IMPROVED = 0x3
_VL_FISHER_FAST = 0x1 << 2
_VL_GMM_KMEANS, _VL_GMM_RAND, _VL_GMM_CUSTOM = 0, 1, 2

Float32 = NDArray[np.float32]


class _Keypoint(ctypes.Structure):
    _fields_ = [(name, ctypes.c_double) for name in ("x", "y", "s", "norm")]


class _Geometry(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("bins_t", "bins_x", "bins_y", "bin_size_x", "bin_size_y")]


class _Filter(ctypes.Structure):
    """`VlDsiftFilter` of vl/dsift.h; its setters are inline functions, which a shared library does not export."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("width", "height", "step_x", "step_y")),
        *((name, ctypes.c_int) for name in ("min_x", "min_y", "max_x", "max_y")),
        ("geometry", _Geometry),
        ("flat_window", ctypes.c_int),
        ("window_size", ctypes.c_double),
        ("n_frames", ctypes.c_int),
        ("descriptor_size", ctypes.c_int),
        ("frames", ctypes.POINTER(_Keypoint)),
        ("descriptors", ctypes.POINTER(ctypes.c_float)),
        *((name, ctypes.c_int) for name in ("bins_allocated", "frames_allocated", "gradients_allocated")),
        ("gradients", ctypes.c_void_p),
        ("scratch1", ctypes.c_void_p),
        ("scratch2", ctypes.c_void_p),
    ]


def available() -> bool:
    """Whether a VLFeat of the known version can be loaded."""
    try:
        _library()
    except OSError:
        return False
    return True


class DenseSift:
    """One `VlDsiftFilter`, kept for many images of one size.

    Parameters
    ----------
    width, height : int
        Size of the images, in pixels.
    step, size : int
        Distance between descriptors and side of one spatial bin, in pixels.
    fast : bool
        VLFeat's `fast`: a flat window in place of the Gaussian one.
    """

    def __init__(self, width: int, height: int, *, step: int, size: int, fast: bool = True) -> None:
        self._shape = (height, width)
        self._filter = _library().vl_dsift_new_basic(width, height, step, size)
        self._filter.contents.flat_window = fast

    def __del__(self) -> None:
        handle = self.__dict__.pop("_filter", None)
        if handle is not None:
            _library().vl_dsift_delete(handle)

    def process(self, image: Float32) -> Float32:
        """Descriptors of an image, in VLFeat's own memory: valid until the next call.

        Parameters
        ----------
        image : (height, width) float32
            Gray values in [0, 1].

        Returns
        -------
        (n, 128) float32
            Unit length, clipped at 0.2 and scaled again; y outermost, then x, then orientation; row by row of the grid.
        """
        if image.shape != self._shape or image.dtype != np.float32 or not image.flags.c_contiguous:
            raise ValueError(f"image must be C-ordered float32 of shape {self._shape}; got {image.dtype} {image.shape}")
        _library().vl_dsift_process(self._filter, image.ctypes.data)
        state = self._filter.contents
        return np.ctypeslib.as_array(state.descriptors, shape=(state.n_frames, state.descriptor_size))

    def centres(self) -> NDArray[np.float64]:
        """The (n, 2) x, y centres of the descriptors; set by `process`."""
        state = self._filter.contents
        doubles = ctypes.cast(state.frames, ctypes.POINTER(ctypes.c_double))
        return np.ctypeslib.as_array(doubles, shape=(state.n_frames, 4))[:, :2].copy()


def dsift(image: Float32, *, step: int, size: int, fast: bool = True) -> tuple[NDArray[np.float64], Float32]:
    """The (n, 2) x, y centres and (n, 128) float32 descriptors of one image, as copies that the caller owns."""
    height, width = image.shape
    extractor = DenseSift(width, height, step=step, size=size, fast=fast)
    descriptors = extractor.process(np.ascontiguousarray(image, dtype=np.float32)).copy()
    return extractor.centres(), descriptors


def gmm(
    data: Float32,
    n_components: int,
    *,
    max_iterations: int = 100,
    start: str | tuple[Float32, Float32, Float32] = "random",
    random_state: int = 0,
) -> tuple[Float32, Float32, Float32]:
    """Fit a diagonal Gaussian mixture to (n, d) float32 data.

    It stops earlier than after `max_iterations` where the likelihood hardly rises.

    Parameters
    ----------
    start : {"random", "k-means"} or (means, variances, weights)
        Descriptors drawn as k-means++ does, with the variances of all; the clusters of VLFeat's own five iterations
        of k-means; or Gaussians.

    Returns
    -------
    means, variances : (n_components, d) float32
    weights : (n_components,) float32
    """
    data = np.ascontiguousarray(data, dtype=np.float32)
    n, d = data.shape
    library = _library()
    library.vl_rand_seed(library.vl_get_rand(), random_state)
    model = library.vl_gmm_new(_VL_TYPE_FLOAT, d, n_components)
    try:
        if isinstance(start, str):
            library.vl_gmm_set_initialization(model, {"k-means": _VL_GMM_KMEANS, "random": _VL_GMM_RAND}[start])
        else:
            given = [np.ascontiguousarray(values, dtype=np.float32) for values in start]
            library.vl_gmm_set_initialization(model, _VL_GMM_CUSTOM)
            library.vl_gmm_set_means(model, given[0].ctypes.data)
            library.vl_gmm_set_covariances(model, given[1].ctypes.data)
            library.vl_gmm_set_priors(model, given[2].ctypes.data)
        library.vl_gmm_set_max_num_iterations(model, max_iterations)
        library.vl_gmm_cluster(model, data.ctypes.data, n)
        return (
            _copy(library.vl_gmm_get_means(model), (n_components, d)),
            _copy(library.vl_gmm_get_covariances(model), (n_components, d)),
            _copy(library.vl_gmm_get_priors(model), (n_components,)),
        )
    finally:
        library.vl_gmm_delete(model)


def fisher(
    data: Float32, means: Float32, variances: Float32, weights: Float32, *, improved: bool = True, fast: bool = False
) -> Float32:
    """Fisher vector of (n, d) float32 data: the mean part of all components, then the variance part, (2 K d,) float32.

    `improved` takes the signed square root and the unit length; `fast` keeps each row's largest posterior only.
    """
    m, v, w, x = (np.ascontiguousarray(a, dtype=np.float32) for a in (means, variances, weights, data))
    n_components, d = m.shape
    out = np.empty(2 * n_components * d, dtype=np.float32)
    _library().vl_fisher_encode(
        out.ctypes.data,
        _VL_TYPE_FLOAT,
        m.ctypes.data,
        d,
        n_components,
        v.ctypes.data,
        w.ctypes.data,
        x.ctypes.data,
        len(x),
        _VL_FISHER_IMPROVED * improved | _VL_FISHER_FAST * fast,
    )
    return out


@cache
def _library() -> ctypes.CDLL:
    name = ctypes.util.find_library("vl")
    if name is None:
        raise OSError("VLFeat is not installed: no shared library called libvl (Debian: apt install libvlfeat1)")
    library = ctypes.CDLL(name)
    pointer, size, integer = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    signatures = {
        "vl_get_version_string": (ctypes.c_char_p, []),
        "vl_set_num_threads": (None, [size]),
        "vl_get_rand": (pointer, []),
        "vl_rand_seed": (None, [pointer, ctypes.c_uint32]),
        "vl_dsift_new_basic": (ctypes.POINTER(_Filter), [integer] * 4),
        "vl_dsift_delete": (None, [ctypes.POINTER(_Filter)]),
        "vl_dsift_process": (None, [ctypes.POINTER(_Filter), pointer]),
        "vl_gmm_new": (pointer, [ctypes.c_uint32, size, size]),
        "vl_gmm_delete": (None, [pointer]),
        "vl_gmm_set_initialization": (None, [pointer, integer]),
        "vl_gmm_set_max_num_iterations": (None, [pointer, size]),
        **{f"vl_gmm_set_{name}": (None, [pointer, pointer]) for name in ("means", "covariances", "priors")},
        "vl_gmm_cluster": (ctypes.c_double, [pointer, pointer, size]),
        "vl_gmm_get_means": (pointer, [pointer]),
        "vl_gmm_get_covariances": (pointer, [pointer]),
        "vl_gmm_get_priors": (pointer, [pointer]),
        "vl_fisher_encode": (
            size,
            [pointer, ctypes.c_uint32, pointer, size, size, pointer, pointer, pointer, size, integer],
        ),
    }
    for function, (result, arguments) in signatures.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    found = library.vl_get_version_string().decode()
    if found != VERSION:
        raise OSError(f"VLFeat {VERSION} is needed, since its structures are read directly; found {found}")
    library.vl_set_num_threads(1)
    return library


def _copy(address: int, shape: tuple[int, ...]) -> Float32:
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), shape=shape).copy()
