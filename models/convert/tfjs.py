"""Reads a TensorFlow.js graph model and translates its convolutional part.

Only the operations of the networks in this folder are known; anything else is
an error that names the operation.  The ends of the networks (heads, anchors)
are simpler to write anew than to translate: see the module of each network.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np

from graph import NCHW_OF_NHWC, Graph, Node, Tensor


class TfjsModel:
    """The nodes and weights of `model.json` and its binary shards."""

    def __init__(self, path: Path):
        document = json.loads(path.read_text())
        self.nodes = {node["name"]: node for node in document["modelTopology"]["node"]}
        self.weights: dict[str, np.ndarray] = {}
        for group in document["weightsManifest"]:
            shards = b"".join(
                (path.parent / shard).read_bytes() for shard in group["paths"]
            )
            self._read_weights(group["weights"], shards)

    def _read_weights(self, entries: list[dict], data: bytes) -> None:
        offset = 0
        for entry in entries:
            stored = entry.get("quantization", entry)["dtype"]
            # float16 is a plain cast; other quantisations carry a scale, which
            # none of these files uses.
            if stored not in ("float16", entry["dtype"]):
                raise ValueError(f"{entry['name']}: weights stored as {stored}")
            kind = np.dtype(stored).newbyteorder("<")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(data, kind, count, offset)
            offset += values.nbytes
            self.weights[entry["name"]] = values.astype(entry["dtype"]).reshape(
                entry["shape"]
            )
        if offset != len(data):
            raise ValueError(f"weights end at byte {offset} of {len(data)}")


class Translator:
    """Translates the nodes that lead to the wanted tensors, in a fixed order."""

    def __init__(
        self,
        model: TfjsModel,
        graph: Graph,
        inputs: dict[str, Tensor],
        resize_scales: dict[str, float] | None = None,
    ):
        """`inputs` are the source tensors to start from; `resize_scales` gives
        the factor of each ResizeBilinear, whose fixed target size in the file
        would tie the network to one picture size."""
        self._model = model
        self._graph = graph
        self._values = dict(inputs)
        self._resize_scales = resize_scales or {}
        self._uses: dict[str, int] = {}

    def translate(self, wanted: list[str]) -> list[Tensor]:
        """Emit everything that `wanted` needs; its tensors in the same order."""
        order = self._order(wanted)
        for name in wanted:
            self._uses[name] = self._uses.get(name, 0) + 1
        for name in order:
            for source in self._inputs(name):
                self._uses[source] = self._uses.get(source, 0) + 1
        for name in order:
            self._values[name] = self._translate_node(self._model.nodes[name])
        return [self._values[name] for name in wanted]

    def _inputs(self, name: str) -> list[str]:
        """Names of the data inputs; all tensors of interest are output 0."""
        references = self._model.nodes[name].get("input", [])
        data = [reference for reference in references if not reference.startswith("^")]
        return [reference.removesuffix(":0") for reference in data]

    def _order(self, wanted: list[str]) -> list[str]:
        """Depth-first order without the constants; a loop, as graphs are deep."""
        order: list[str] = []
        seen = set(self._values)
        stack = [(name, False) for name in reversed(wanted)]
        while stack:
            name, inputs_done = stack.pop()
            if inputs_done:
                order.append(name)
            elif name not in seen and name not in self._model.weights:
                seen.add(name)
                stack.append((name, True))
                stack.extend((source, False) for source in reversed(self._inputs(name)))
        return order

    def _translate_node(self, node: dict) -> Tensor:
        match node["op"]:
            case "Conv2D":
                return self._conv(node, depthwise=False)
            case "DepthwiseConv2dNative":
                return self._conv(node, depthwise=True)
            case "Add" | "AddV2" | "BiasAdd" | "AddN":
                return self._add(node)
            case "Mul":
                return self._scale(node)
            case "FusedBatchNorm":
                return self._batch_norm(node)
            case "Pad" | "PadV2":
                return self._pad(node)
            case "MaxPool":
                return self._max_pool(node)
            case "ResizeBilinear":
                return self._resize(node)
            case "ConcatV2":
                return self._concat(node)
            case "Transpose":
                source, permutation = self._inputs(node["name"])
                return self._values[source].transposed(
                    self._constant(permutation).tolist()
                )
            case "LeakyRelu":
                return self._unary(
                    node, "LeakyRelu", alpha=float(attribute(node, "alpha"))
                )
            case "Relu6":
                return self._unary(node, "Clip", np.float32(0), np.float32(6))
            case op:
                raise NotImplementedError(f"{node['name']}: operation {op}")

    def _conv(self, node: dict, depthwise: bool) -> Tensor:
        source, weights = self._inputs(node["name"])
        kernel = self._constant(weights)
        if (
            attribute(node, "dilations") != [1, 1, 1, 1]
            or attribute(node, "data_format") != "NHWC"
        ):
            raise NotImplementedError(f"{node['name']}: dilated or not NHWC")
        if depthwise:  # (height, width, channel, 1) -> (channel, 1, height, width)
            group = kernel.shape[2]
            kernel = kernel.transpose(2, 3, 0, 1)
        else:  # (height, width, in, out) -> (out, in, height, width)
            group = 1
            kernel = kernel.transpose(3, 2, 0, 1)
        return self._graph.conv(
            self._values[source],
            kernel,
            None,
            attribute(node, "strides")[1:3],
            self._is_same_padded(node),
            group,
        )

    def _add(self, node: dict) -> Tensor:
        names = self._inputs(node["name"])
        first, second = names
        if first in self._model.weights:
            first, second = second, first
        if second in self._model.weights:
            # A bias. Every one in these networks follows a convolution, if
            # need be through a residual sum: (conv + x) + b = (conv + b) + x.
            source, target = self._values[first], self._absorber(first, "shift_into")
            target.shift_output(self._constant(second))
            return Tensor(
                source.name, source.axes, source.scale_into, source.shift_into
            )
        left, right = self._values[first], self._values[second]
        if left.axes != right.axes:
            raise ValueError(f"{node['name']}: sum of {left.axes} and {right.axes}")
        total = self._graph.emit("Add", left.name, right.name).outputs[0]
        absorbers = [
            self._values[name].shift_into
            for name in (first, second)
            if self._uses[name] == 1
        ]
        shift_into = next((conv for conv in absorbers if conv is not None), None)
        return Tensor(total, left.axes, shift_into=shift_into)

    def _scale(self, node: dict) -> Tensor:
        source, factor = self._inputs(node["name"])
        self._absorber(source, "scale_into").scale_output(self._constant(factor))
        return self._values[source]

    def _batch_norm(self, node: dict) -> Tensor:
        source, *parameters = self._inputs(node["name"])
        gamma, beta, mean, variance = (
            self._constant(name).astype(np.float64) for name in parameters
        )
        conv = self._absorber(source, "scale_into")
        factor = gamma / np.sqrt(variance + attribute(node, "epsilon"))
        conv.scale_output(factor)
        conv.shift_output(beta - mean * factor)
        return self._values[source]

    def _absorber(self, name: str, field: str) -> Node:
        """The Conv that takes over a change of tensor `name`."""
        conv = getattr(self._values[name], field)
        if conv is None or self._uses[name] != 1:
            raise NotImplementedError(
                f"{name}: a constant operand, but not of a convolution"
            )
        return conv

    def _pad(self, node: dict) -> Tensor:
        names = self._inputs(node["name"])
        source, amounts = self._values[names[0]], self._constant(names[1])
        if len(names) == 3 and self._constant(names[2]) > np.finfo(np.float32).min / 2:
            # Padding with the lowest number is what MaxPool pads with itself.
            raise NotImplementedError(f"{node['name']}: padding with another value")
        padding = tuple(
            (int(amounts[axis][0]), int(amounts[axis][1])) for axis in source.axes
        )
        return Tensor(source.name, source.axes, padding=padding)

    def _max_pool(self, node: dict) -> Tensor:
        (source,) = self._inputs(node["name"])
        return self._graph.max_pool(
            self._values[source],
            attribute(node, "ksize")[1:3],
            attribute(node, "strides")[1:3],
            self._is_same_padded(node),
        )

    def _resize(self, node: dict) -> Tensor:
        if not attribute(node, "half_pixel_centers") or attribute(
            node, "align_corners"
        ):
            raise NotImplementedError(
                f"{node['name']}: not resized from half-pixel centres"
            )
        source = self._values[self._inputs(node["name"])[0]]
        if source.axes != NCHW_OF_NHWC:
            raise ValueError(f"{node['name']}: resize of {source.axes}")
        scale = self._resize_scales[node["name"]]
        resized = self._graph.emit(
            "Resize",
            source.name,
            None,
            np.array([1, 1, scale, scale], np.float32),
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        return Tensor(resized.outputs[0], source.axes)

    def _concat(self, node: dict) -> Tensor:
        *parts, axis = self._inputs(node["name"])
        sources = [self._values[part] for part in parts]
        axes = sources[0].axes
        if any(source.axes != axes for source in sources):
            raise ValueError(f"{node['name']}: concatenation of different layouts")
        logical = int(self._constant(axis)) % len(axes)
        joined = self._graph.emit(
            "Concat", *[source.name for source in sources], axis=axes.index(logical)
        )
        return Tensor(joined.outputs[0], axes)

    def _unary(self, node: dict, op: str, *constants, **attributes) -> Tensor:
        source = self._values[self._inputs(node["name"])[0]]
        if source.padding is not None:
            raise NotImplementedError(f"{node['name']}: {op} of a padded tensor")
        result = self._graph.emit(op, source.name, *constants, **attributes)
        return Tensor(result.outputs[0], source.axes)

    def _constant(self, name: str) -> np.ndarray:
        return self._model.weights[name]

    @staticmethod
    def _is_same_padded(node: dict) -> bool:
        return {"SAME": True, "VALID": False}[attribute(node, "padding")]


def attribute(node: dict, name: str):
    """An attribute of a node, from the JSON form of TensorFlow's AttrValue."""
    value = node["attr"][name]
    if "list" in value:
        return [int(item) for item in value["list"]["i"]]
    if "s" in value:  # written either as base64 or as a list of byte values
        text = value["s"]
        return (
            bytes(text).decode()
            if isinstance(text, list)
            else base64.b64decode(text).decode()
        )
    if "f" in value:
        return float(value["f"])
    return value["b"]
