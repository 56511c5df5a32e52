#!/usr/bin/env python3
"""Average precision of detections against COCO annotations.

    tests/reference/venv coco_ap.py INSTANCES.json DETECTIONS.jsonl --at-least 0.24

Detections are matched to pictures by file name and to categories by label. All
pictures of INSTANCES.json count, also those without a detection. Use a low
score floor (0.05) when making the detections: precision is averaged over all
scores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def load(coco: COCO, path: str) -> list[dict]:
    """The detections in COCO's result format: x, y, width, height."""
    images = {
        Path(image["file_name"]).name: number for number, image in coco.imgs.items()
    }
    categories = {category["name"]: number for number, category in coco.cats.items()}
    results = []
    for line in Path(path).read_text().splitlines():
        if not line.strip():
            continue
        detection = json.loads(line)
        name = Path(detection["image"]).name
        label = detection["label"].replace("_", " ")
        if name not in images:
            sys.exit(f"coco_ap.py: {name} is not among the annotated pictures")
        if label not in categories:
            sys.exit(f"coco_ap.py: {label!r} is not a COCO category")
        x1, y1, x2, y2 = detection["box"]
        results.append(
            {
                "image_id": images[name],
                "category_id": categories[label],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": detection["score"],
            }
        )
    if not results:
        sys.exit(f"coco_ap.py: {path} has no detections")
    return results


def evaluate(
    coco: COCO, results: list[dict], category: str | None = None
) -> list[float]:
    """COCO's twelve numbers, of all categories or of one."""
    # pycocotools talks on standard output.
    with contextlib.redirect_stdout(sys.stderr):
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        if category:
            evaluation.params.catIds = coco.getCatIds(catNms=[category])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(number) for number in evaluation.stats]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("instances")
    parser.add_argument("detections")
    parser.add_argument(
        "--at-least", type=float, metavar="AP", help="exit 1 if the AP is lower"
    )
    options = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        coco = COCO(options.instances)
    results = load(coco, options.detections)
    everything, person = evaluate(coco, results), evaluate(coco, results, "person")
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    summary = {name: round(number, 4) for name, number in zip(names, everything)}
    summary["person_ap"] = round(person[0], 4)
    summary["detections"] = len(results)
    print(json.dumps(summary))
    if options.at_least is not None and everything[0] < options.at_least:
        sys.exit(f"coco_ap.py: AP {everything[0]:.4f} is below {options.at_least}")


if __name__ == "__main__":
    main()
