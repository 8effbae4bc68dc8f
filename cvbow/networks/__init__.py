"""Neural networks that others trained: files, what goes into them, and what runs them."""

from cvbow.networks.engines import PROVIDERS, OnnxNetwork
from cvbow.networks.network import Network
from cvbow.networks.onnx_file import Layer, OnnxGraph, read_graph
from cvbow.networks.opening import (
    ENGINES,
    NETWORKS,
    check_network,
    find_known_network,
    known_networks,
    locate_network,
    open_network,
    open_same_network,
)
from cvbow.networks.preprocessing import CHANNEL_ORDERS, INTERPOLATIONS, RESIZES, Preprocessing, find_preprocessing
from cvbow.networks.torchvision_models import is_model_name, known_models

__all__ = [
    "CHANNEL_ORDERS",
    "ENGINES",
    "INTERPOLATIONS",
    "NETWORKS",
    "PROVIDERS",
    "RESIZES",
    "Layer",
    "Network",
    "OnnxGraph",
    "OnnxNetwork",
    "Preprocessing",
    "check_network",
    "find_known_network",
    "find_preprocessing",
    "is_model_name",
    "known_models",
    "known_networks",
    "locate_network",
    "open_network",
    "open_same_network",
    "read_graph",
]
