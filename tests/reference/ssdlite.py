#!/usr/bin/env python3
"""Reference decoder for SSDLite MobileNet v2, as converted by models/fetch.

    tests/reference/venv ssdlite.py MODEL.onnx IMAGE…

`class_id` is the column of the scores, which is the COCO id less one.
"""

from __future__ import annotations

import numpy as np

import common

LABELS = ["" for _ in range(90)]
for _id, _label in zip(common.COCO90_IDS, common.COCO80, strict=True):
    LABELS[_id - 1] = _label


def detect(session, bgr, width, height, min_score, interpolation) -> common.Detections:
    rgb = common.resize(bgr, width, height, interpolation)[:, :, ::-1]
    outputs = common.run_model(session, (rgb.astype(np.float32) - 127.5)[None] / 127.5)

    scores = outputs["scores"].reshape(-1, len(LABELS))
    kept = scores.max(axis=1) >= min_score
    y1, x1, y2, x2 = outputs["boxes"].reshape(-1, 4)[kept].astype(np.float64).T
    boxes = np.stack([x1, y1, x2, y2], axis=1) * np.tile(bgr.shape[1::-1], 2)
    return common.Detections(
        boxes, scores[kept].max(axis=1), scores[kept].argmax(axis=1)
    )


if __name__ == "__main__":
    common.main(__doc__, "300x300", LABELS, detect)
