"""Neural networks that others trained: files, what goes into them, and what runs them."""

from cvbow.networks.engines import ENGINES, PROVIDERS, OnnxNetwork, open_network
from cvbow.networks.known import find_known_network, known_networks
from cvbow.networks.locating import NETWORKS
from cvbow.networks.onnx_file import Layer, OnnxGraph, read_graph
from cvbow.networks.preprocessing import CHANNEL_ORDERS, RESIZES, Preprocessing, find_preprocessing

__all__ = [
    "CHANNEL_ORDERS",
    "ENGINES",
    "NETWORKS",
    "PROVIDERS",
    "RESIZES",
    "Layer",
    "OnnxGraph",
    "OnnxNetwork",
    "Preprocessing",
    "find_known_network",
    "find_preprocessing",
    "known_networks",
    "open_network",
    "read_graph",
]
