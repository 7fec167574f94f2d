"""ONNX files of a small IS-Net, as exporters of several times write them."""

import random
import re
import warnings

import onnx
import torch

from dichoseg.models.isnet import ISNET


class Maps(torch.nn.Module):
    """All maps of a network as separate outputs, as its authors return them."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        prediction = self.network(image)
        return prediction.logits, *prediction.side_logits


def export(model, path, *, answer_alone=False, **options):
    """Write a model through torch's tracing exporter, which folds batch norm unless told otherwise."""
    module = Maps(model).eval()
    if answer_alone:
        module.forward = model.logits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.zeros(1, 3, 64, 64),), path, dynamo=False, opset_version=17, **options)
    return path


def as_authors_export(path, *, node_names=True, plain_numbers=False, shuffled=False):
    """Rename what `export` wrote to what the authors' IS-Net would give; as older exporters, without node names."""
    graph = onnx.load(path)
    theirs = {ours: name for name, ours in ISNET.names.items()}

    def renamed(name):
        module, _, leaf = name.removeprefix("network.").rpartition(".")
        number = re.fullmatch(r"onnx::Conv_(\d+)", name)
        if number and plain_numbers:
            return number[1]
        return f"{theirs[module]}.{leaf}" if module in theirs else name

    for tensor in graph.graph.initializer:
        tensor.name = renamed(tensor.name)
    for node in graph.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed(name)
        node.name = node.name.replace("/network/", "/") if node_names else ""
    if node_names:
        for node in graph.graph.node:
            path_of = node.name.split("/")[1:-1]
            module = ".".join(segment for i, segment in enumerate(path_of) if segment)
            if module in theirs:
                node.name = "/" + theirs[module].replace(".", "/") + "/Conv"
    if shuffled:
        nodes = list(graph.graph.node)
        random.Random(0).shuffle(nodes)
        del graph.graph.node[:]
        graph.graph.node.extend(nodes)
    onnx.save(graph, path)
    return path
