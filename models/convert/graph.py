"""A small builder for ONNX graphs, shared by the converters.

The networks come from TensorFlow, where pictures are laid out NHWC and every
bias, batch norm and padding is an operation of its own.  ONNX Runtime wants
NCHW and fused convolutions.  Instead of translating literally and asking an
optimiser to clean up (whose output differs between versions and machines),
the builder never emits the clutter:

* a `Tensor` remembers how its axes are laid out, so a transpose is a change of
  book-keeping (`Tensor.transposed`) and costs no node;
* a `Node` of type Conv can absorb a scale, a bias or a zero padding until the
  graph is written.

Everything is numbered in the order of emission and all arithmetic is exact or
correctly rounded element by element, so the same source gives the same bytes
on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# The newest operator set this code was written against, and the file format
# that goes with it: ONNX Runtime 1.24 (the oldest the agent accepts) reads both.
OPSET = 17
IR_VERSION = 8

#: Physical layout NCHW of a tensor whose logical axes are N, H, W, C.
NCHW_OF_NHWC = (0, 3, 1, 2)


@dataclass
class Node:
    """One ONNX operation. An input is a tensor name or a constant array."""

    op: str
    inputs: list
    outputs: list[str]
    attributes: dict = field(default_factory=dict)

    def scale_output(self, factor: np.ndarray) -> None:
        """Multiply the output channels of this Conv by `factor`."""
        weights, bias = self.inputs[1], self.inputs[2]
        self.inputs[1] = _round(_wide(weights) * _wide(factor)[:, None, None, None])
        self.inputs[2] = _round(_wide(bias) * _wide(factor))

    def shift_output(self, offset: np.ndarray) -> None:
        """Add `offset` to the output channels of this Conv."""
        self.inputs[2] = _round(_wide(self.inputs[2]) + _wide(offset))


@dataclass(frozen=True)
class Tensor:
    """A value of the source graph and where it lives in the ONNX graph.

    `axes[i]` is the logical (source) axis that the physical (ONNX) axis `i`
    holds. `scale_into` and `shift_into` are the Conv that may still absorb a
    per-channel factor or offset applied to this value; `padding` is zero
    padding per physical axis that the next Conv or MaxPool has to apply.
    """

    name: str
    axes: tuple[int, ...]
    scale_into: Node | None = None
    shift_into: Node | None = None
    padding: tuple[tuple[int, int], ...] | None = None

    def transposed(self, permutation: list[int]) -> Tensor:
        """The same data seen through a transpose of the source graph."""
        axes = tuple(permutation.index(axis) for axis in self.axes)
        return Tensor(self.name, axes, self.scale_into, self.shift_into, self.padding)


class Graph:
    """Collects nodes and writes them as an ONNX model."""

    def __init__(self, name: str):
        self._name = name
        self._nodes: list[Node] = []
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: list[int | str]) -> str:
        """Declare a float input; a string in `shape` names a dynamic size."""
        self._inputs.append(_value_info(name, shape))
        return name

    def emit(self, op: str, *inputs, outputs: int = 1, **attributes) -> Node:
        """Append an operation; its outputs are named after it, `conv_12`."""
        base = f"{op.lower()}_{len(self._nodes)}"
        names = [base] if outputs == 1 else [f"{base}_{i}" for i in range(outputs)]
        node = Node(op, list(inputs), names, attributes)
        self._nodes.append(node)
        return node

    def conv(
        self,
        source: Tensor,
        weights: np.ndarray,
        bias: np.ndarray | None,
        strides: list[int],
        same_padding: bool,
        group: int = 1,
    ) -> Tensor:
        """A convolution with `weights` as (out, in / group, height, width)."""
        if source.axes != NCHW_OF_NHWC:
            raise ValueError(
                f"{source.name}: a convolution needs NCHW, not {source.axes}"
            )
        if bias is None:
            bias = np.zeros(weights.shape[0], np.float32)
        attributes = _padding_attributes(source, same_padding)
        node = self.emit(
            "Conv",
            source.name,
            _round(weights),
            _round(bias),
            kernel_shape=list(weights.shape[2:]),
            strides=list(strides),
            group=group,
            **attributes,
        )
        return Tensor(node.outputs[0], NCHW_OF_NHWC, scale_into=node, shift_into=node)

    def max_pool(
        self, source: Tensor, kernel: list[int], strides: list[int], same_padding: bool
    ) -> Tensor:
        """A max pooling over the two spatial axes."""
        if source.axes != NCHW_OF_NHWC:
            raise ValueError(f"{source.name}: a pooling needs NCHW, not {source.axes}")
        attributes = _padding_attributes(source, same_padding)
        node = self.emit(
            "MaxPool",
            source.name,
            kernel_shape=list(kernel),
            strides=list(strides),
            **attributes,
        )
        return Tensor(node.outputs[0], NCHW_OF_NHWC)

    def finish(
        self, outputs: dict[str, tuple[str, list[int | str]]]
    ) -> onnx.ModelProto:
        """The checked model; `outputs` maps new name -> (tensor name, shape)."""
        renamed = {source: name for name, (source, _shape) in outputs.items()}
        nodes, constants = [], []
        for node in self._nodes:
            names = [renamed.get(name, name) for name in node.outputs]
            inputs = []
            for position, value in enumerate(node.inputs):
                if value is None:  # an optional input that is left out
                    inputs.append("")
                elif isinstance(value, str):
                    inputs.append(renamed.get(value, value))
                else:
                    name = f"{node.outputs[0]}.{position}"
                    constants.append(
                        numpy_helper.from_array(np.ascontiguousarray(value), name)
                    )
                    inputs.append(name)
            nodes.append(
                helper.make_node(
                    node.op, inputs, names, name=node.outputs[0], **node.attributes
                )
            )
        graph = helper.make_graph(
            nodes,
            self._name,
            self._inputs,
            [_value_info(name, shape) for name, (_source, shape) in outputs.items()],
            constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="porchlight models/convert",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _padding_attributes(source: Tensor, same_padding: bool) -> dict:
    """ONNX padding attributes for a Conv or MaxPool reading `source`."""
    if same_padding:
        if source.padding is not None:
            raise ValueError(f"{source.name}: both SAME and explicit padding")
        # TensorFlow puts the odd pixel at the end, which ONNX calls "upper".
        return {"auto_pad": "SAME_UPPER"}
    if source.padding is None:
        return {}
    batch, channel, (top, bottom), (left, right) = source.padding
    if batch != (0, 0) or channel != (0, 0):
        raise ValueError(f"{source.name}: padding outside of the picture plane")
    return {"pads": [top, left, bottom, right]}


def _value_info(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _wide(array: np.ndarray) -> np.ndarray:
    """Folding is done in double precision, so that it is rounded only once."""
    return np.asarray(array, np.float64)


def _round(array: np.ndarray) -> np.ndarray:
    return np.asarray(array).astype(np.float32)
