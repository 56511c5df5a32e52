"""What the reference decoders share: letterbox, suppression, output.

Written from the papers and the published pre- and post-processing, not from
the agent's Rust code: the two must agree because both are right.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import onnxruntime

COCO80 = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
    "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
    "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,"
    "knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,"
    "chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,"
    "hair drier,toothbrush"
).split(",")

# COCO numbers its categories 1..90 and never used ten of the numbers.
COCO90_UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO90_IDS = [number for number in range(1, 91) if number not in COCO90_UNUSED]


@dataclass(frozen=True)
class Detections:
    """Boxes as (count, 4) x1 y1 x2 y2 in picture pixels, with scores and classes."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def open_model(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread gives the same sums every time.
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )


def run_model(
    session: onnxruntime.InferenceSession, image: np.ndarray
) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(image)}
    return dict(zip(names, session.run(names, feed), strict=True))


def letterbox(
    bgr: np.ndarray, width: int, height: int, fill: int, interpolation: int
) -> tuple[np.ndarray, float, float]:
    """The picture at the top left of a width x height canvas, and its x and y scale."""
    scale = min(width / bgr.shape[1], height / bgr.shape[0])
    new_width, new_height = round(bgr.shape[1] * scale), round(bgr.shape[0] * scale)
    canvas = np.full((height, width, 3), fill, np.uint8)
    canvas[:new_height, :new_width] = resize(bgr, new_width, new_height, interpolation)
    # The sides are rounded to whole pixels, so the two scales differ a little.
    return canvas, new_width / bgr.shape[1], new_height / bgr.shape[0]


def resize(bgr: np.ndarray, width: int, height: int, interpolation: int) -> np.ndarray:
    return cv2.resize(bgr, (width, height), interpolation=interpolation)


def iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with each of the others."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + areas - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def suppress(found: Detections, iou_threshold: float) -> Detections:
    """Greedy non-maximum suppression within each class; scores descending."""
    order = np.argsort(-found.scores, kind="stable")
    keep = []
    while len(order):
        best, order = order[0], order[1:]
        keep.append(best)
        overlaps = iou(found.boxes[best], found.boxes[order]) > iou_threshold
        order = order[~(overlaps & (found.classes[order] == found.classes[best]))]
    chosen = np.array(keep, int)
    return Detections(found.boxes[chosen], found.scores[chosen], found.classes[chosen])


def parse_size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def main(
    description: str,
    default_size: str,
    labels: list[str],
    detect: Callable[..., Detections],
) -> None:
    """Command line of a decoder: one JSON line per detection on standard output."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model")
    parser.add_argument("images", nargs="+")
    parser.add_argument("--size", type=parse_size, default=default_size, metavar="WxH")
    parser.add_argument("--min-score", type=float, default=0.4, metavar="S")
    parser.add_argument("--nms", type=float, default=0.5, metavar="IOU")
    parser.add_argument(
        "--resample",
        choices=("linear", "area"),
        default="linear",
        help="linear: as in training; area: averages when making smaller",
    )
    options = parser.parse_args()
    interpolation = {"linear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA}[
        options.resample
    ]
    session = open_model(options.model)
    for path in options.images:
        bgr = cv2.imread(path)
        if bgr is None:
            parser.error(f"cannot read picture {path}")
        raw = detect(session, bgr, *options.size, options.min_score, interpolation)
        height, width = bgr.shape[:2]
        boxes = raw.boxes.clip([0, 0, 0, 0], [width, height, width, height])
        found = suppress(Detections(boxes, raw.scores, raw.classes), options.nms)
        for box, score, number in zip(
            found.boxes, found.scores, found.classes, strict=True
        ):
            line = {
                "image": path,
                "label": labels[number],
                "class_id": int(number),
                "score": round(float(score), 5),
                "box": [round(float(side), 3) for side in box],
            }
            print(json.dumps(line))
