#!/usr/bin/env python3
"""Reference decoder for NanoDet, as converted by models/fetch.

tests/reference/venv nanodet.py MODEL.onnx --size 640x384 IMAGE…
"""

from __future__ import annotations

import numpy as np

import common

STRIDES = (8, 16, 32)
# Each distance is a distribution over 0, 1 … 10 strides ("generalized focal
# loss"); its mean is the distance.
BINS = np.arange(11)
MEAN_BGR = np.array([103.53, 116.28, 123.675], np.float32)
STD_BGR = np.array([57.375, 57.12, 58.395], np.float32)


def detect(session, bgr, width, height, min_score, interpolation) -> common.Detections:
    canvas, scale_x, scale_y = common.letterbox(bgr, width, height, 0, interpolation)
    image = ((canvas.astype(np.float32) - MEAN_BGR) / STD_BGR).transpose(2, 0, 1)[None]
    outputs = common.run_model(session, image)

    boxes, scores, classes = [], [], []
    for stride in STRIDES:
        probabilities = outputs[f"cls_{stride}"][0]
        cells_y, cells_x = np.mgrid[: height // stride, : width // stride]
        centres = (np.stack([cells_x.ravel(), cells_y.ravel()], axis=1) + 0.5) * stride
        kept = probabilities.max(axis=1) >= min_score

        logits = (
            outputs[f"reg_{stride}"][0][kept]
            .reshape(-1, 4, len(BINS))
            .astype(np.float64)
        )
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        weights /= weights.sum(axis=2, keepdims=True)
        left_top, right_bottom = np.split((weights @ BINS) * stride, 2, axis=1)
        boxes.append(
            np.hstack([centres[kept] - left_top, centres[kept] + right_bottom])
        )
        scores.append(probabilities[kept].max(axis=1))
        classes.append(probabilities[kept].argmax(axis=1))
    return common.Detections(
        np.concatenate(boxes) / [scale_x, scale_y, scale_x, scale_y],
        np.concatenate(scores),
        np.concatenate(classes),
    )


if __name__ == "__main__":
    common.main(__doc__, "416x416", common.COCO80, detect)
