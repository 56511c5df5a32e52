"""SSDLite MobileNet v2: a TensorFlow.js graph to ONNX.

Input `image` (N, 300, 300, 3); outputs `scores` (N, 1917, 90), class
probabilities where column k is COCO id k + 1, and `boxes` (N, 1917, 4) as
y1, x1, y2, x2 in parts of the picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from graph import NCHW_OF_NHWC, Graph, Tensor
from tfjs import TfjsModel, Translator

SIDE_PX = 300
CLASSES = 90  # the head has one column more in front, the background
LEVELS = 6
ANCHORS = 1917


def convert(sources: list[Path]) -> onnx.ModelProto:
    """`sources` has model.json; its shards lie beside it."""
    model = TfjsModel(next(path for path in sources if path.suffix == ".json"))
    graph = Graph("SSDLite MobileNet v2")
    image = graph.input("image", ["N", SIDE_PX, SIDE_PX, 3])
    planes = graph.emit("Transpose", image, perm=list(NCHW_OF_NHWC)).outputs[0]
    # The preprocessor in the file (resize and x / 127.5 - 1) is left out: the
    # agent does both.
    start = {"Preprocessor/sub": Tensor(planes, NCHW_OF_NHWC)}
    translator = Translator(model, graph, start)
    heads = translator.translate(
        [f"BoxPredictor_{level}/ClassPredictor/BiasAdd" for level in range(LEVELS)]
        + [
            f"BoxPredictor_{level}/BoxEncodingPredictor/BiasAdd"
            for level in range(LEVELS)
        ]
    )

    logits = _rows(graph, heads[:LEVELS], CLASSES + 1)
    without_background = graph.emit(
        "Slice",
        logits,
        np.array([1], np.int64),
        np.array([CLASSES + 1], np.int64),
        np.array([2], np.int64),
    )
    scores = graph.emit("Sigmoid", without_background.outputs[0]).outputs[0]
    boxes = _decode(graph, model, _rows(graph, heads[LEVELS:], 4))
    return graph.finish(
        {
            "scores": (scores, ["N", ANCHORS, CLASSES]),
            "boxes": (boxes, ["N", ANCHORS, 4]),
        }
    )


def _rows(graph: Graph, heads: list[Tensor], columns: int) -> str:
    """The heads of all levels as one (N, anchors, columns)."""
    parts = []
    for head in heads:
        # Channels last first: an anchor's columns are neighbouring channels.
        last = graph.emit("Transpose", head.name, perm=[0, 2, 3, 1]).outputs[0]
        shape = np.array([0, -1, columns], np.int64)
        parts.append(graph.emit("Reshape", last, shape).outputs[0])
    return graph.emit("Concat", *parts, axis=1).outputs[0]


def _decode(graph: Graph, model: TfjsModel, encoded: str) -> str:
    """Offsets against the anchors -> corners y1, x1, y2, x2.

    Centre = anchor centre + offset * anchor size / 10; size = anchor size *
    exp(offset / 5). The file stores the anchors as corners and the divisors as
    reciprocals.
    """
    weights = model.weights
    corners = weights["Postprocessor/ExpandDims"].astype(np.float64)  # (1, anchors, 4)
    sizes = corners[:, :, 2:] - corners[:, :, :2]
    centres = corners[:, :, :2] + sizes / 2
    centre_step = sizes * weights["ConstantFolding/Postprocessor/Decode/div_recip"]
    size_step = weights["ConstantFolding/Postprocessor/Decode/div_2_recip"]

    halves = graph.emit("Split", encoded, np.array([2, 2], np.int64), outputs=2, axis=2)
    moved = graph.emit(
        "Mul", halves.outputs[0], centre_step.astype(np.float32)
    ).outputs[0]
    centre = graph.emit("Add", moved, centres.astype(np.float32)).outputs[0]
    grown = graph.emit(
        "Exp", graph.emit("Mul", halves.outputs[1], size_step).outputs[0]
    )
    half_size = graph.emit(
        "Mul", grown.outputs[0], (sizes / 2).astype(np.float32)
    ).outputs[0]
    low = graph.emit("Sub", centre, half_size).outputs[0]
    high = graph.emit("Add", centre, half_size).outputs[0]
    return graph.emit("Concat", low, high, axis=2).outputs[0]
