#!/usr/bin/env python3
"""How well faces are told apart: false accepts and false rejects over pictures.

    benches/faces.py --binary target/release/porchlight PEOPLE
    benches/faces.py --binary target/release/porchlight PEOPLE --enrolled PHOTOS

PEOPLE has a subfolder of pictures for each person; the largest face of each
picture counts, unless the gate refuses it. Pictures whose names are the same
up to the last `-` (clip-01.png, clip-02.png) are of one recording and are not
compared with each other. With --enrolled, faces are compared with those of
PHOTOS, which has subfolders, too: the situation of an agent whose people were
enrolled from photos. Subfolders of one name are one person.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
THRESHOLDS = [threshold / 100 for threshold in range(20, 75, 5)]


@dataclass(frozen=True)
class Shot:
    person: str
    recording: str
    embedding: list[float]


def shots(command: list[str | Path], folder: Path) -> list[Shot]:
    files = sorted(
        path for path in folder.glob("*/*") if path.suffix.lower() in PICTURES
    )
    if not files:
        raise SystemExit(f"benches/faces.py: no pictures in subfolders of {folder}")
    output = subprocess.run(
        [*command, *files],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    largest: dict[str, dict] = {}
    for face in map(json.loads, output.splitlines()):
        known = largest.setdefault(face["image"], face)
        if area(face) > area(known):
            largest[face["image"]] = face
    flaws = Counter(face["flaw"] or "usable" for face in largest.values())
    flaws["no face"] = len(files) - len(largest)
    counts = ", ".join(f"{count} {what}" for what, count in flaws.most_common())
    print(f"{folder}: {len(files)} pictures: {counts}")
    return [
        Shot(
            path.parent.name,
            path.stem.rpartition("-")[0] or path.stem,
            face["embedding"],
        )
        for path, face in ((Path(name), face) for name, face in largest.items())
        if face["flaw"] is None
    ]


def area(face: dict) -> float:
    left, top, right, bottom = face["box"]
    return (right - left) * (bottom - top)


def similarities(
    probes: list[Shot], references: list[Shot] | None
) -> tuple[list[float], list[float]]:
    """Of pairs of one person, and of pairs of two."""
    same, different = [], []
    for index, probe in enumerate(probes):
        for reference in probes[:index] if references is None else references:
            one = probe.person == reference.person
            if references is None and one and probe.recording == reference.recording:
                continue
            cosine = sum(
                a * b for a, b in zip(probe.embedding, reference.embedding, strict=True)
            )
            (same if one else different).append(cosine)
    return sorted(same), sorted(different)


def spread(values: list[float]) -> str:
    at = [0, 0.01, 0.05, 0.5, 0.95, 0.99, 1]
    return "  ".join(f"{values[round(q * (len(values) - 1))]:6.3f}" for q in at)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("people", type=Path)
    parser.add_argument("--enrolled", type=Path, metavar="PHOTOS")
    parser.add_argument("--config", type=Path, help="settings of [faces] to use")
    parser.add_argument(
        "--binary", type=Path, default=Path("target/release/porchlight")
    )
    options = parser.parse_args()
    command = [options.binary, "faces", "--json", "--embeddings"]
    if options.config:
        command += ["--config", options.config]
    probes = shots(command, options.people)
    references = shots(command, options.enrolled) if options.enrolled else None
    same, different = similarities(probes, references)
    if not different:
        raise SystemExit("benches/faces.py: needs pictures of two people")
    print(f"\n{'':22}   least     1 %     5 %    50 %    95 %    99 %    most")
    if same:
        print(f"{len(same):8} of one person  {spread(same)}")
    print(f"{len(different):8} of two people  {spread(different)}\n")
    print("threshold   false accepts   false rejects")
    for threshold in THRESHOLDS:
        accepts = sum(value >= threshold for value in different) / len(different)
        rejects = sum(value < threshold for value in same) / max(len(same), 1)
        print(f"{threshold:9.2f}   {accepts:12.3%}   {rejects:12.3%}")


if __name__ == "__main__":
    main()
