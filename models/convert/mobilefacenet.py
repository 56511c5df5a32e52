"""MobileFaceNet: a TensorFlow Lite file to ONNX.

Input `image` (N, 3, 112, 112); output `embedding` (N, 192), not normalised.

TensorFlow had no PReLU that its converter knew, so the file spells it as
relu(x) + a * (x - |x|), five operations over whole feature maps. That is a
PReLU with the slope 2a, and becomes one again here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import tflite

from graph import NCHW_OF_NHWC, Graph, Tensor

SIDE_PX = 112
DIMENSIONS = 192
Op = tflite.BuiltinOperator


def convert(sources: list[Path]) -> onnx.ModelProto:
    """`sources` is MobileFaceNet.tflite."""
    (path,) = sources
    model = tflite.Model.GetRootAs(path.read_bytes(), 0)
    return _Translator(model).run()


class _Translator:
    def __init__(self, model: tflite.Model):
        self._model = model
        self._source = model.Subgraphs(0)
        operators = [
            self._source.Operators(i) for i in range(self._source.OperatorsLength())
        ]
        # Which operator makes a tensor: the PReLU pattern is read backwards.
        self._makers = {operator.Outputs(0): operator for operator in operators}
        self._operators = operators
        self._graph = Graph("MobileFaceNet")
        self._values: dict[int, Tensor] = {}

    def run(self) -> onnx.ModelProto:
        name = self._graph.input("image", ["N", 3, SIDE_PX, SIDE_PX])
        self._values[self._source.Inputs(0)] = Tensor(name, NCHW_OF_NHWC)
        for operator in self._operators:
            result = self._translate(operator)
            if result is not None:
                self._values[operator.Outputs(0)] = result
        # (N, 192, 1, 1) -> (N, 192); the file's own reshape has a batch of 2 in it.
        final = self._operators[-1]
        if self._op(final) != Op.RESHAPE:
            raise NotImplementedError("the network does not end in a reshape")
        features = self._values[final.Inputs(0)].name
        shape = np.array([-1, DIMENSIONS], np.int64)
        embedding = self._graph.emit("Reshape", features, shape).outputs[0]
        return self._graph.finish({"embedding": (embedding, ["N", DIMENSIONS])})

    def _translate(self, operator: tflite.Operator) -> Tensor | None:
        match self._op(operator):
            case Op.CONV_2D:
                # (out, height, width, in) -> (out, in, height, width)
                weights = self._constant(operator.Inputs(1)).transpose(0, 3, 1, 2)
                return self._conv(operator, tflite.Conv2DOptions(), weights, group=1)
            case Op.DEPTHWISE_CONV_2D:
                # (1, height, width, channel) -> (channel, 1, height, width)
                weights = self._constant(operator.Inputs(1)).transpose(3, 0, 1, 2)
                options = tflite.DepthwiseConv2DOptions()
                return self._conv(operator, options, weights, group=weights.shape[0])
            case Op.ADD:
                return self._add(operator)
            case Op.RELU | Op.ABS | Op.SUB | Op.MUL:
                return None  # parts of a PReLU, read from its final ADD
            case Op.RESHAPE:
                return None  # the end of the network, written by `run`
            case op:
                raise NotImplementedError(f"TensorFlow Lite operation {op}")

    def _conv(self, operator, options, weights: np.ndarray, group: int) -> Tensor:
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        dilated = (options.DilationHFactor(), options.DilationWFactor()) != (1, 1)
        if (
            dilated
            or options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE
        ):
            raise NotImplementedError("a dilated convolution or a fused activation")
        return self._graph.conv(
            self._values[operator.Inputs(0)],
            weights,
            self._constant(operator.Inputs(2)),
            [options.StrideH(), options.StrideW()],
            options.Padding() == tflite.Padding.SAME,
            group,
        )

    def _add(self, operator) -> Tensor:
        left, right = operator.Inputs(0), operator.Inputs(1)
        if self._op(self._makers[left]) == Op.RELU:
            return self._prelu(self._makers[left], self._makers[right])
        total = self._graph.emit(
            "Add", self._values[left].name, self._values[right].name
        )
        return Tensor(total.outputs[0], NCHW_OF_NHWC)

    def _prelu(self, relu, product) -> Tensor:
        """relu(x) + a * (x - |x|), given the operators of both summands."""
        source = relu.Inputs(0)
        slope, difference = product.Inputs(0), self._makers[product.Inputs(1)]
        magnitude = self._makers[difference.Inputs(1)]
        found = [self._op(product), self._op(difference), self._op(magnitude)]
        if found != [Op.MUL, Op.SUB, Op.ABS] or {
            difference.Inputs(0),
            magnitude.Inputs(0),
        } != {source}:
            raise NotImplementedError("a sum with a ReLU that is not a PReLU")
        # One slope per channel, against (N, channel, height, width).
        slopes = 2 * self._constant(slope).reshape(-1, 1, 1)
        result = self._graph.emit("PRelu", self._values[source].name, slopes)
        return Tensor(result.outputs[0], NCHW_OF_NHWC)

    def _op(self, operator) -> int:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        # Files of before 2020 have the code in the older, shorter field only.
        return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())

    def _constant(self, index: int) -> np.ndarray:
        tensor = self._source.Tensors(index)
        if tensor.Type() != tflite.TensorType.FLOAT32:
            raise NotImplementedError(
                f"constant of TensorFlow Lite type {tensor.Type()}"
            )
        data = self._model.Buffers(tensor.Buffer()).DataAsNumpy()
        return data.view("<f4").reshape(tensor.ShapeAsNumpy())
