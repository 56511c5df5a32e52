#!/usr/bin/env python3
"""Compares two files of detections; exits 1 with a table when they differ.

    compare.py EXPECTED.jsonl FOUND.jsonl --box-px 2 --score 0.02

Detections of the same picture and label are paired by overlap, best first.
One that is only in one file is forgiven when its score is within --score of
--min-score: it sits on the threshold and either decision is right. Faces are
compared by landmarks and embedding as well.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from pathlib import Path


def read(path: str) -> dict[tuple[str, str], list[dict]]:
    """Detections by (picture name, label)."""
    groups = defaultdict(list)
    for line in Path(path).read_text().splitlines():
        if line.strip():
            detection = json.loads(line)
            label = detection.get("label", "face").replace("_", " ")
            groups[Path(detection["image"]).name, label].append(detection)
    return groups


def iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return overlap / (areas - overlap) if areas > overlap else 0.0


def pair(
    expected: list[dict], found: list[dict]
) -> list[tuple[dict | None, dict | None]]:
    """Pairs by overlap, the best first; those left over are paired with None."""
    candidates = sorted(
        (-iou(a["box"], b["box"]), i, j)
        for i, a in enumerate(expected)
        for j, b in enumerate(found)
    )
    pairs, used_i, used_j = [], set(), set()
    for negative_iou, i, j in candidates:
        if negative_iou < 0 and i not in used_i and j not in used_j:
            pairs.append((expected[i], found[j]))
            used_i.add(i)
            used_j.add(j)
    pairs += [(a, None) for i, a in enumerate(expected) if i not in used_i]
    pairs += [(None, b) for j, b in enumerate(found) if j not in used_j]
    return pairs


def describe(detection: dict | None) -> str:
    if detection is None:
        return "-"
    box = ", ".join(f"{side:.1f}" for side in detection["box"])
    return f"{detection['score']:.3f} [{box}]"


def judge(a: dict | None, b: dict | None, options: argparse.Namespace) -> str | None:
    """What is wrong with a pair, if anything."""
    if a is None or b is None:
        score = (a or b)["score"]
        if (
            options.min_score is not None
            and abs(score - options.min_score) <= options.score
        ):
            return None
        return "missing" if b is None else "surplus"
    box_px = max(
        abs(left - right) for left, right in zip(a["box"], b["box"], strict=True)
    )
    score = abs(a["score"] - b["score"])
    faults = []
    if "landmarks" in a:
        corners = zip(a["landmarks"], b["landmarks"], strict=True)
        landmark_px = max(math.dist(one, other) for one, other in corners)
        if landmark_px > options.box_px:
            faults.append(f"landmark off by {landmark_px:.1f} px")
    if "embedding" in a:
        cosine = sum(x * y for x, y in zip(a["embedding"], b["embedding"], strict=True))
        if cosine < options.cosine:
            faults.append(f"embeddings agree by {cosine:.4f} only")
    if box_px > options.box_px:
        faults.append(f"box off by {box_px:.1f} px")
    if score > options.score:
        faults.append(f"score off by {score:.3f}")
    return ", ".join(faults) or None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("expected")
    parser.add_argument("found")
    parser.add_argument("--box-px", type=float, default=2.0, metavar="PX")
    parser.add_argument("--score", type=float, default=0.02, metavar="D")
    parser.add_argument("--cosine", type=float, default=0.999, metavar="C")
    parser.add_argument("--min-score", type=float, metavar="S")
    options = parser.parse_args()

    expected, found = read(options.expected), read(options.found)
    rows, matched = [("PICTURE", "LABEL", "EXPECTED", "FOUND", "FAULT")], 0
    for key in sorted(expected.keys() | found.keys()):
        for a, b in pair(expected.get(key, []), found.get(key, [])):
            fault = judge(a, b, options)
            if fault:
                rows.append((*key, describe(a), describe(b), fault))
            elif a and b:
                matched += 1
    differing = len(rows) - 1
    if differing:
        widths = [
            max(len(row[column]) for row in rows) for column in range(len(rows[0]))
        ]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            print("  ".join(cells).rstrip())
    print(f"{matched} detections agree, {differing} differ")
    if matched == 0 and differing == 0:
        sys.exit("compare.py: both files are empty, which proves nothing")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
