"""Torchvision's classification networks by name, run by Torch.

The architecture comes from torchvision, the weights from the official file or from one of the user's. Values of layers
are taken by torchvision's feature extraction, which runs the network up to that layer.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvbow.errors import NetworkError
from cvbow.networks._torch_weights import find_weights, is_entry_name, read_state, state_digest
from cvbow.networks.network import Network, first_line
from cvbow.networks.preprocessing import Preprocessing, find_preprocessing

#: The names that are good without asking torchvision, and what it calls them.
MODELS = {
    "alexnet": "alexnet",
    "efficientnet": "efficientnet_b0",
    "googlenet": "googlenet",
    "inception_v3": "inception_v3",
    "mobilenet": "mobilenet_v3_large",
    "resnet50": "resnet50",
    "vgg19": "vgg19",
}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PROVIDERS = ("cpu", "cuda")
#: These two were trained elsewhere, on pixels from -1 to 1. Torchvision normalizes them as all others and takes that
#: back inside the network; here the network is left without that step, and the preprocessing tells the truth.
_FROM_MINUS_ONE = ("googlenet", "inception_v3")
#: Parts that only training needs.
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
#: DenseNet's files are older than the names of its layers.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def is_model_name(network: object) -> bool:
    """Whether ``network`` is written as torchvision's names are, and no file has that name.

    Examples
    --------
    >>> from cvbow.networks import is_model_name
    >>> is_model_name("resnet50"), is_model_name("networks/resnet50.onnx")
    (True, False)
    """
    return isinstance(network, str) and bool(_NAME.fullmatch(network)) and not Path(network).is_file()


def known_models() -> tuple[str, ...]:
    """Return the names of torchvision's classification models; without torchvision, the best known.

    Examples
    --------
    >>> from cvbow.networks import known_models
    >>> "resnet50" in known_models()
    True
    """
    if not _is_installed():
        return tuple(MODELS)
    from torchvision import models

    return tuple(sorted({*MODELS, *models.list_models(module=models)}))


def _is_installed() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "torchvision"))


def open_torchvision(
    name: str, *, weights: str | os.PathLike[str] | None = None, provider: str = "cpu"
) -> TorchvisionNetwork:
    """Open a torchvision model; see ``open_network``."""
    if not _is_installed():
        what = f"the torchvision model {name}" if name in MODELS else f"{name} is no file, and a torchvision model"
        raise ImportError(f"{what} needs the extra: pip install 'cvbow[torch]'")
    if name not in (known := known_models()):
        raise ValueError(f"network must be a file, or one of torchvision's models: {', '.join(known)}; got {name!r}")
    if provider not in _PROVIDERS:
        raise ValueError(f"provider must be one of {', '.join(_PROVIDERS)} for a torchvision model, got {provider!r}")
    model = MODELS.get(name, name)
    with _opening:  # two threads would read the file twice
        if weights is None or is_entry_name(weights):
            return _opened(model, None if weights is None else os.fspath(weights), 0, 0, provider)
        facts = os.stat(weights)
        return _opened(model, str(Path(weights).resolve()), facts.st_mtime_ns, facts.st_size, provider)


_opening = threading.Lock()


# Weights are read once in a process, and not again for every image. The time and size of the file tell a new one.
@functools.lru_cache(maxsize=4)
def _opened(model: str, weights: str | None, changed: int, size: int, provider: str) -> TorchvisionNetwork:
    return TorchvisionNetwork(model, weights, provider)


class TorchvisionNetwork(Network):
    """A torchvision classification model with weights, in evaluation mode; errors are those of ``open_network``.

    ``weights`` are as there; a file may have another number of classes than the official ones. ``digest`` is the
    SHA-256 of the architecture's name and the tensors: the same for the same weights in another file.
    """

    engine = "torch"

    def __init__(self, model: str, weights: str | os.PathLike[str] | None, provider: str) -> None:
        import torch
        from torchvision.models import get_model_weights
        from torchvision.models.feature_extraction import get_graph_node_names

        if provider == "cuda" and not torch.cuda.is_available():
            raise ValueError("provider must be cpu where Torch finds no CUDA device, got 'cuda'")
        self.model = model
        self.provider = provider
        self.path, self._entry = find_weights(model, weights)
        self._facts = _input_of(model, self._entry or get_model_weights(model).DEFAULT)
        skeleton, self._n_classes, state = self._matched(read_state(self.path))
        self.digest = state_digest(model, state)
        self._state = {key: tensor.to(provider) for key, tensor in state.items()}
        # The first node is the input.
        self._names = tuple(get_graph_node_names(skeleton, suppress_diff_warning=True)[1][1:])
        self._default = _before_the_head(skeleton, self._names)
        self._extractors: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes of the network in evaluation mode, as torchvision's feature extraction names them."""
        return self._names

    @property
    def outputs(self) -> tuple[str, ...]:
        """The last node: a score for each class."""
        return self._names[-1:]

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes that official weights were trained on; None for weights that are not official."""
        found = None if self._entry is None else self._entry.meta.get("categories")
        return tuple(found) if found is not None and len(found) == self._n_classes else None

    def check_layer(self, layer: str) -> None:
        """Raise ValueError, with the choices, unless there is such a node, or a module, which stands for its last."""
        if not any(name.startswith(f"{layer}.") for name in self.names):
            super().check_layer(layer)

    def preprocessing(self, given: Mapping[str, Any]) -> Preprocessing:
        """Return what the official weights of this architecture take.

        Weights in a file of one's own are taken to be made for the same, unless ``NAME.toml`` beside it says other.
        """
        return find_preprocessing(self.path, self.digest, given, otherwise={**self._facts, "layer": self._default})

    def is_probability(self, layer: str) -> bool:
        """False: torchvision's networks end before their softmax."""
        return False

    def check_input(self, n_channels: int, size: tuple[int, int]) -> None:
        """Raise ValueError unless images have three channels; of sizes, a run tells."""
        if n_channels != 3:
            raise ValueError(f"channel_order must be one of 3 channels, the network's input; got {n_channels}")

    def run(self, batch: NDArray[np.float32], layer: str) -> NDArray[np.float32]:
        import torch

        self.check_layer(layer)
        try:
            extractor = self._extractor(layer)
            with _one_thread(), torch.inference_mode(), _repeatable(self.provider):
                values = extractor(torch.from_numpy(np.ascontiguousarray(batch)).to(self.provider))[layer]
                if isinstance(values, torch.Tensor):
                    values = np.array(values.float().cpu().numpy())
        except Exception as error:  # of many kinds
            raise NetworkError(self.path, f"torch cannot run it: {first_line(error)}") from error
        if not isinstance(values, np.ndarray) or values.ndim < 2 or len(values) != len(batch):
            raise ValueError(f"layer must be one with values for each image, got {layer!r}")
        return values

    def _extractor(self, layer: str) -> Any:
        from torchvision.models.feature_extraction import create_feature_extractor

        with self._lock:
            if layer not in self._extractors:
                # Tracing puts a model into training mode for a while. So each extractor is traced on a model of its
                # own, and only the weights are shared with those that are running.
                model = _architecture(self.model, self._n_classes, self._entry)
                state = model.state_dict()  # with the versions of its modules, which MNASNet insists on
                state.update(self._state)
                model.load_state_dict(state, assign=True)
                extractor = create_feature_extractor(model, [layer], suppress_diff_warning=True).eval()
                self._extractors[layer] = extractor
            return self._extractors[layer]

    def _matched(self, state: dict[str, Any]) -> tuple[Any, int, dict[str, Any]]:
        """Return the architecture, its number of classes and its tensors, or refuse the file."""
        import torch

        if self.model.startswith("densenet"):
            state = {_OLD_DENSENET.sub(r"\1\2", key): tensor for key, tensor in state.items()}
        state = {key: tensor for key, tensor in state.items() if not key.startswith(_AUXILIARY)}
        wanted = _architecture(self.model, n_classes := 1000, self._entry)
        head = next(
            name
            for name, module in reversed(list(wanted.named_modules()))
            if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
        )
        scores = state.get(f"{head}.weight")
        if scores is not None and scores.ndim > 0 and len(scores) not in (0, n_classes):
            wanted = _architecture(self.model, n_classes := len(scores), self._entry)
        expected = wanted.state_dict()
        # Counters of training steps, which old files lack and nobody needs.
        counters = [key for key in expected if key.endswith("num_batches_tracked")]
        state |= {key: torch.zeros(expected[key].shape, dtype=expected[key].dtype) for key in counters}
        wrong = [key for key in expected if key not in state or state[key].shape != expected[key].shape]
        unknown = [key for key in state if key not in expected]
        if wrong or unknown:
            facts = []
            if wrong:
                n_tensors = len(expected) - len(counters)
                facts.append(f"{len(wrong)} of its {n_tensors} tensors are missing or of other shapes ({wrong[0]})")
            if unknown:
                facts.append(f"{len(unknown)} are none of its ({unknown[0]})")
            raise NetworkError(self.path, f"not the weights of {self.model}: {' and '.join(facts)}")
        return wanted, n_classes, {key: state[key] for key in expected}


def _architecture(model: str, n_classes: int, entry: Any) -> Any:
    """Return a network in evaluation mode, for certain weights; its tensors have shapes and, mostly, no values."""
    import torch
    from torchvision.models import get_model

    options: dict[str, Any] = {"num_classes": n_classes}
    if model in _FROM_MINUS_ONE:
        options |= {"aux_logits": False, "init_weights": False, "transform_input": False}
    if model.startswith("vit_") and entry is not None:
        options["image_size"] = entry.meta["min_size"][0]
    try:
        with torch.device("meta"):
            return get_model(model, weights=None, **options).eval()
    except NotImplementedError:  # RegNet computes its widths with tensors
        with torch.random.fork_rng(devices=[]):
            return get_model(model, weights=None, **options).eval()


def _input_of(model: str, entry: Any) -> dict[str, Any]:
    """Return attributes of ``Preprocessing`` from what torchvision says of official weights."""
    preset = entry.transforms()
    (size,), (shorter,) = preset.crop_size, preset.resize_size
    mean, std = ((0.5,) * 3, (0.5,) * 3) if model in _FROM_MINUS_ONE else (preset.mean, preset.std)
    return {
        "size": (size, size),
        "channel_order": "rgb",
        "mean": tuple(255 * value for value in mean),
        "scale": tuple(1 / (255 * value) for value in std),
        "resize": "crop",
        "shorter_side": shorter,
        "interpolation": preset.interpolation.value,
    }


def _before_the_head(model: Any, names: tuple[str, ...]) -> str | None:
    """Return the node that enters the last layer, where that is a linear one; dropout does nothing after training."""
    from torch import nn

    modules = dict(model.named_modules())
    if not isinstance(modules.get(names[-1]), nn.Linear):
        return None
    return next(name for name in reversed(names[:-1]) if not isinstance(modules.get(name), nn.Dropout))


_threads_lock = threading.Lock()
_threads_depth = 0
_threads_before = 1


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Hold Torch at one thread for an operation: workers are the parallelism, and sums keep their order.

    The number that is set holds for the calling thread and for those that start later, so each thread sets it, and
    gives back what was there before the first of them came.
    """
    import torch

    global _threads_depth, _threads_before
    with _threads_lock:
        if _threads_depth == 0:
            _threads_before = torch.get_num_threads()
        _threads_depth += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _threads_lock:
            _threads_depth -= 1
            torch.set_num_threads(_threads_before)


def _repeatable(provider: str) -> Any:
    """Return a context in which a GPU computes the same each time, in float32 throughout."""
    if provider == "cpu":
        return contextlib.nullcontext()
    from torch.backends import cudnn

    return cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
