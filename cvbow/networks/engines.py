"""ONNX files, run by OpenCV, which is always there, or by ONNX Runtime, which is faster where it is installed."""

from __future__ import annotations

import functools
import importlib.util
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from cvbow.errors import NetworkError
from cvbow.files import read_file
from cvbow.images import content_hash
from cvbow.networks.external_data import external_files, with_external_data
from cvbow.networks.network import Network, first_line
from cvbow.networks.onnx_file import OnnxGraph, read_graph, with_output
from cvbow.networks.preprocessing import Preprocessing, find_preprocessing

ONNX_ENGINES: tuple[str, ...] = ("auto", "opencv", "onnxruntime")
#: Where ONNX Runtime computes, and its name for that.
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}


class _Session(Protocol):
    """A network that was read by one of the engines; any number of threads may run it."""

    def __call__(self, batch: NDArray[Any], layer: str) -> NDArray[np.float32]: ...


class OnnxNetwork(Network):
    """An ONNX file, and what runs it.

    Parameters
    ----------
    path : Path
    engine : {"opencv", "onnxruntime"}
    provider : str
        A key of ``PROVIDERS``.

    Attributes
    ----------
    digest : str
        SHA-256 of the file, with all weights in it, in hexadecimal.
    graph : OnnxGraph
    input_shape : (int, int, int, int)
        Images, channels, height, width, in whatever order they go in; 0 where the length is left open.
    channels_last : bool
        Whether images go in as (images, height, width, channels), as TensorFlow has them.
    input_type : dtype
        Of the values that go in.
    stamp : tuple
        Times and sizes of the files.

    Raises
    ------
    FileNotFoundError
    NetworkError
        If the file is not a network, or not one with a single image as its input, or its weights are not beside it.

    Examples
    --------
    >>> from cvbow.networks import Network, OnnxNetwork
    >>> issubclass(OnnxNetwork, Network)  # so see there what it does
    True
    """

    def __init__(self, path: Path, engine: str, provider: str) -> None:
        self.path = path
        self.engine = engine
        self.provider = provider
        data, self._files = _read_network(path)
        self.stamp = _stamp(self.files)
        self.digest = content_hash(data)
        try:
            self.graph: OnnxGraph = read_graph(data)
        except ValueError as error:
            raise NetworkError(path, f"not an ONNX network: {error}") from error
        self.input_name, shape = self._one_input()
        # TensorFlow's networks have the channels last.
        self.channels_last = shape[1] not in (1, 3) and shape[3] in (1, 3)
        self.input_shape = (shape[0], shape[3], shape[1], shape[2]) if self.channels_last else shape
        self.input_type = np.dtype(self.graph.types[self.input_name])

    def _one_input(self) -> tuple[str, tuple[int, ...]]:
        inputs = self.graph.inputs
        ((name, shape),) = inputs.items() if len(inputs) == 1 else [("", ())]
        if len(shape) != 4 or (shape[1] not in (0, 1, 3) and shape[3] not in (1, 3)) or not self.graph.types[name]:
            facts = [f"{name} {shape} {self.graph.types[name] or 'of another type'}" for name, shape in inputs.items()]
            raise NetworkError(
                self.path,
                "its input must be one image as (batch, 1 or 3 channels, height, width), "
                f"or with the channels last, of numbers; it is {', '.join(facts) or 'none'}",
            )
        return name, shape

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and those beside it that hold its weights, where it has such."""
        return self._files

    def read(self) -> bytes:
        """Return the file's content, with all weights in it."""
        return _read_network(self.path)[0]

    @property
    def names(self) -> tuple[str, ...]:
        return self.graph.names

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.graph.outputs

    def preprocessing(self, given: Mapping[str, Any]) -> Preprocessing:
        """Look beside the file, and in the table of networks that cvbow knows; see ``find_preprocessing``."""
        return find_preprocessing(self.path, self.digest, given)

    def is_probability(self, layer: str) -> bool:
        return any(one.name == layer and one.kind == "Softmax" for one in self.graph.layers)

    def check_input(self, n_channels: int, size: tuple[int, int]) -> None:
        _, channels, height, width = self.input_shape
        if channels not in (0, n_channels):
            raise ValueError(f"channel_order must be one of {channels} channels, the network's input; got {n_channels}")
        if (width or size[0], height or size[1]) != size:
            raise ValueError(f"size must be {width}x{height}, the network's input, got {size[0]}x{size[1]}")

    def run(self, batch: NDArray[np.float32], layer: str) -> NDArray[np.float32]:
        self.check_layer(layer)
        session = _session(str(self.path), self.digest, layer, self.engine, self.provider)
        batch = self._as_declared(batch)
        # A network that was exported for one image would refuse more, or reshape them into one another.
        step = 1 if self.input_shape[0] == 1 else len(batch)
        try:
            parts = [session(batch[top : top + step], layer) for top in range(0, len(batch), step)]
        except NetworkError:
            raise
        except Exception as error:  # the engines raise classes of their own
            raise NetworkError(self.path, f"{self.engine} cannot run it: {first_line(error)}") from error
        return np.concatenate(parts)

    def _as_declared(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """Return images in the order of axes and the type that the network declares."""
        if self.channels_last:
            batch = batch.transpose(0, 2, 3, 1)
        if self.input_type.kind == "f":
            # OpenCV computes in float32, whatever a network declares.
            return batch if self.engine == "opencv" else batch.astype(self.input_type, copy=False)
        with np.errstate(invalid="ignore"):
            whole = batch.astype(self.input_type)
        if not np.array_equal(whole, batch):
            raise ValueError(
                f"mean and scale must leave values of {self.input_type.name}, the network's input (mean 0 and scale 1 "
                f"leave 0 to 255), got values from {batch.min():g} to {batch.max():g}"
            )
        return whole


def open_onnx(path: str | os.PathLike[str], *, engine: str = "auto", provider: str = "cpu") -> OnnxNetwork:
    """Open an ONNX file; see ``open_network``."""
    if engine not in ONNX_ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ONNX_ENGINES)} for an ONNX file, got {engine!r}")
    installed = importlib.util.find_spec("onnxruntime") is not None
    if engine == "onnxruntime" and not installed:
        raise ImportError("the engine onnxruntime needs the extra: pip install 'cvbow[onnx]'")
    if engine == "auto":
        engine = "onnxruntime" if installed else "opencv"
    if engine == "opencv" and provider != "cpu":
        raise ValueError(f"provider must be cpu with the engine opencv, got {provider!r}")
    where = os.path.abspath(path)  # links stand: weights lie beside the name that was given
    found = _opened(where, engine, provider)
    if found.stamp != _stamp(found.files):
        _opened.cache_clear()
        found = _opened(where, engine, provider)
    return found


# A network is read once in a process, and not again for every image. Times and sizes of its files tell a new one.
@functools.lru_cache(maxsize=8)
def _opened(path: str, engine: str, provider: str) -> OnnxNetwork:
    return OnnxNetwork(Path(path), engine, provider)


def _stamp(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    return tuple((facts.st_mtime_ns, facts.st_size) for facts in map(os.stat, files))


def _read_network(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """Return a network with all its weights in it, and the files that it came from."""
    data = read_file(path)
    try:
        files = {name: _beside(path, name) for name in external_files(data)}
        contents = {name: read_file(file) for name, file in files.items()}
        return with_external_data(data, contents.__getitem__), (path, *files.values())
    except ValueError as error:
        raise NetworkError(path, f"not an ONNX network: {error}") from error


def _beside(path: Path, name: str) -> Path:
    # A link to a network may have its weights with it, or with what it leads to.
    found = next((file for folder in (path, path.resolve()) if (file := folder.parent / name).is_file()), None)
    if found is None:
        raise NetworkError(path, f"its weights lie in another file, which must be beside it: {name} is not there")
    return found


_session_lock = threading.Lock()


def _session(path: str, digest: str, layer: str, engine: str, provider: str) -> _Session:
    with _session_lock:  # two threads would read the file twice
        return _make_session(path, digest, layer, engine, provider)


@functools.lru_cache(maxsize=8)
def _make_session(path: str, digest: str, layer: str, engine: str, provider: str) -> _Session:
    data, _ = _read_network(Path(path))
    if content_hash(data) != digest:
        raise NetworkError(path, "the file has changed since it was opened")
    if layer not in read_graph(data).outputs:
        data = with_output(data, layer, typed=engine == "opencv")
    kind = _OpenCV if engine == "opencv" else _OnnxRuntime
    try:
        return kind(data, provider)
    except ValueError:
        raise
    except Exception as error:
        raise NetworkError(path, f"{engine} cannot read it: {first_line(error)}") from error


class _OpenCV:
    """OpenCV's networks keep their buffers: each thread has one of its own."""

    def __init__(self, data: bytes, provider: str) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.local = threading.local()
        self._net()

    def _net(self) -> Any:
        if not hasattr(self.local, "net"):
            self.local.net = cv2.dnn.readNetFromONNX(self.data)
        return self.local.net

    def __call__(self, batch: NDArray[Any], layer: str) -> NDArray[np.float32]:
        net = self._net()
        net.setInput(np.ascontiguousarray(batch))
        # The result is the network's own memory, which the next call writes over.
        return np.array(net.forward(layer), np.float32)


class _OnnxRuntime:
    def __init__(self, data: bytes, provider: str) -> None:
        import onnxruntime

        available = onnxruntime.get_available_providers()
        if PROVIDERS[provider] not in available:
            usable = [name for name, known in PROVIDERS.items() if known in available]
            raise ValueError(f"provider must be one that is installed: {', '.join(usable)}; got {provider!r}")
        options = onnxruntime.SessionOptions()
        # Workers are the parallelism; and a sum's order must not depend on the number of cores.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(data, options, providers=[PROVIDERS[provider]])
        self.input = self.session.get_inputs()[0].name

    def __call__(self, batch: NDArray[Any], layer: str) -> NDArray[np.float32]:
        (values,) = self.session.run([layer], {self.input: np.ascontiguousarray(batch)})
        return np.asarray(values, np.float32)
