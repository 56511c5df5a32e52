#!/usr/bin/env python3
"""Reference for faces: CenterFace, alignment, MobileFaceNet, as converted by models/fetch.

tests/reference/venv centerface.py CENTERFACE.onnx MOBILEFACENET.onnx IMAGE…

One JSON line a face: box, landmarks, score, and the embedding of the face as
aligned by OpenCV.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass

import cv2
import numpy as np

import common

STRIDE = 4
# Eyes, nose and mouth corners in the 112 x 112 pictures ArcFace was trained with.
TEMPLATE = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ]
)


@dataclass(frozen=True)
class Face:
    box: np.ndarray
    landmarks: np.ndarray
    score: float


def input_size(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Never enlarged; both sides are multiples of 32."""
    scale = min(1.0, long_side / max(width, height))
    return tuple(math.ceil(side * scale / 32 - 1e-9) * 32 for side in (width, height))


def find(session, bgr: np.ndarray, long_side: int, min_score: float) -> list[Face]:
    width, height = input_size(bgr.shape[1], bgr.shape[0], long_side)
    canvas, *scale = common.letterbox(bgr, width, height, 0, cv2.INTER_LINEAR)
    image = canvas[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    outputs = common.run_model(session, image)
    heat, sizes, offsets, points = (
        outputs[name][0] for name in ("heatmap", "scale", "offset", "landmarks")
    )
    rows, columns = np.nonzero(heat[0] > min_score)
    boxes, scores, landmarks = [], [], []
    for row, column in zip(rows, columns, strict=True):
        # y comes before x everywhere in this network's answer.
        box_size = np.exp(sizes[:, row, column])[::-1] * STRIDE
        offset = offsets[::-1, row, column]
        centre = (np.array([column, row]) + offset + 0.5) * STRIDE
        corner = centre - box_size / 2
        shares = points[:, row, column].reshape(5, 2)[:, ::-1]
        boxes.append([*corner, *(corner + box_size)])
        scores.append(heat[0, row, column])
        landmarks.append(corner + shares * box_size)
    if not boxes:
        return []
    found = common.Detections(
        np.array(boxes), np.array(scores), np.arange(len(boxes)) * 0
    )
    kept = common.suppress(found, 0.3)
    order = [scores.index(score) for score in kept.scores]
    return [
        Face(
            boxes_at / np.tile(scale, 2),
            landmarks[index] / scale,
            float(scores[index]),
        )
        for boxes_at, index in zip(kept.boxes, order, strict=True)
    ]


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The 2 x 3 matrix of Umeyama's least-squares similarity, by singular values."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred, wanted = source - source_mean, target - target_mean
    u, singular, vt = np.linalg.svd(wanted.T @ centred / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = (singular * sign).sum() / centred.var(axis=0).sum()
    linear = scale * rotation
    return np.hstack([linear, (target_mean - linear @ source_mean)[:, None]])


def align(bgr: np.ndarray, landmarks: np.ndarray, side: int = 112) -> np.ndarray:
    matrix = similarity(landmarks, TEMPLATE * side / 112)
    return cv2.warpAffine(bgr, matrix, (side, side), flags=cv2.INTER_LINEAR)


def embed(session, aligned_bgr: np.ndarray) -> np.ndarray:
    rgb = aligned_bgr[:, :, ::-1].astype(np.float32)
    image = ((rgb - 127.5) / 128).transpose(2, 0, 1)[None]
    (output,) = common.run_model(session, image).values()
    vector = output[0].astype(np.float64)
    return vector / np.linalg.norm(vector)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("detector")
    parser.add_argument("embedder")
    parser.add_argument("images", nargs="+")
    parser.add_argument("--long-side", type=int, default=640, metavar="PX")
    parser.add_argument("--min-score", type=float, default=0.5, metavar="S")
    options = parser.parse_args()
    detector = common.open_model(options.detector)
    embedder = common.open_model(options.embedder)
    for path in options.images:
        bgr = cv2.imread(path)
        if bgr is None:
            parser.error(f"cannot read picture {path}")
        for face in find(detector, bgr, options.long_side, options.min_score):
            line = {
                "image": path,
                "label": "face",
                "score": round(face.score, 5),
                "box": face.box.round(3).tolist(),
                "landmarks": face.landmarks.round(3).tolist(),
                "embedding": embed(embedder, align(bgr, face.landmarks))
                .round(6)
                .tolist(),
            }
            print(json.dumps(line))


if __name__ == "__main__":
    main()
