"""NanoDet: a TensorFlow.js graph, itself made from ONNX, back to ONNX.

Input `image` (N, 3, H, W) with H and W multiples of 32; outputs, for each
stride s of 8, 16 and 32, `cls_s` (N, cells, 80), class probabilities, and
`reg_s` (N, cells, 44), four times 11 logits of the distances left, top, right
and bottom, with the cells in row order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from graph import Graph, Tensor
from tfjs import TfjsModel, Translator

CLASSES = 80
DISTANCE_LOGITS = 4 * 11

# The neck goes up from stride 32 to 8 and down again; the file has the sizes
# for 416 x 416 in it.
RESIZE_SCALES = {
    "PartitionedCall/resize/ResizeBilinear": 2.0,
    "PartitionedCall/resize_1/ResizeBilinear": 2.0,
    "PartitionedCall/resize_2/ResizeBilinear": 0.5,
    "PartitionedCall/resize_3/ResizeBilinear": 0.5,
}

# The last convolution of each head: classes and distances in one.
HEADS = {
    8: "PartitionedCall/Add_29",
    16: "PartitionedCall/Add_33",
    32: "PartitionedCall/Add_37",
}


def convert(sources: list[Path]) -> onnx.ModelProto:
    """`sources` is nanodet.json; nanodet.bin lies beside it."""
    model = TfjsModel(next(path for path in sources if path.suffix == ".json"))
    graph = Graph("NanoDet")
    image = Tensor(graph.input("image", ["N", 3, "H", "W"]), (0, 1, 2, 3))
    translator = Translator(model, graph, {"input_1": image}, RESIZE_SCALES)
    heads = translator.translate(list(HEADS.values()))

    classes, distances = {}, {}
    for stride, head in zip(HEADS, heads, strict=True):
        split = graph.emit(
            "Split",
            head.name,
            np.array([CLASSES, DISTANCE_LOGITS], np.int64),
            outputs=2,
            axis=1,
        )
        probabilities = graph.emit("Sigmoid", split.outputs[0]).outputs[0]
        cells = f"cells_{stride}"
        classes[f"cls_{stride}"] = (
            _rows(graph, probabilities, CLASSES),
            ["N", cells, CLASSES],
        )
        distances[f"reg_{stride}"] = (
            _rows(graph, split.outputs[1], DISTANCE_LOGITS),
            ["N", cells, DISTANCE_LOGITS],
        )
    return graph.finish(classes | distances)


def _rows(graph: Graph, tensor: str, channels: int) -> str:
    """(N, channels, h, w) -> (N, h * w, channels)."""
    # In an ONNX Reshape a 0 keeps the size that is there: any batch will do.
    flat = graph.emit("Reshape", tensor, np.array([0, channels, -1], np.int64))
    return graph.emit("Transpose", flat.outputs[0], perm=[0, 2, 1]).outputs[0]
