"""CenterFace: an ONNX file whose declared shapes are made dynamic.

Input `image` (N, 3, H, W) with H and W multiples of 32; outputs at a quarter
of that size: `heatmap` (N, 1, h, w), `scale` (N, 2, h, w) log height and log
width in cells, `offset` (N, 2, h, w) y and x, `landmarks` (N, 10, h, w) five
points as y and x in parts of the box.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import helper

# The published names are the numbers of PyTorch's trace.
INPUT = "input.1"
OUTPUTS = {"537": "heatmap", "538": "scale", "539": "offset", "540": "landmarks"}
CHANNELS = {"heatmap": 1, "scale": 2, "offset": 2, "landmarks": 10}


def convert(sources: list[Path]) -> onnx.ModelProto:
    """`sources` is centerface.onnx."""
    (path,) = sources
    model = onnx.load(path)
    graph = model.graph
    names = OUTPUTS | {INPUT: "image"}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    # The file lists every weight as an input as well, which would forbid the
    # runtime to fold them, and keeps PyTorch's unused batch counters.
    used = {name for node in graph.node for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.initializer.extend(weights)
    graph.input.append(_float("image", ["N", 3, "H", "W"]))
    for name, channels in CHANNELS.items():
        graph.output.append(_float(name, ["N", channels, "h", "w"]))
    onnx.checker.check_model(model, full_check=True)
    return model


def _float(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
