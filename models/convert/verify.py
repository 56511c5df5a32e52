"""Runs a converted network on a fixed picture and compares a few numbers.

    verify.py MANIFEST.toml MODEL.onnx            check, exit 1 if it differs
    verify.py --print MANIFEST.toml MODEL.onnx    print the numbers to store
    verify.py --like ORIGINAL.onnx MANIFEST.toml MODEL.onnx
                                                  check an int8 network, whose
                                                  bytes vary between machines

A sha256 shows that the bytes are the expected ones; this shows that they
compute the expected function on this machine.  The picture is made by integer
arithmetic and fed as the manifest says, so a wrong colour order or
normalisation in the manifest is noticed as well.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime

# ONNX Runtime on arm64 and x86-64 differ by about 2e-4 relative; a wrong weight,
# colour order or layout changes these numbers by 10 % and more.
TOLERANCE = 5e-3
# int8 rounds: NanoDet's outputs differ by 0.08 to 0.21 of their size, in a network that finds as much.
INT8_TOLERANCE = 0.4
# Long side / short side used for networks that take any size; not square, so
# that swapped axes are noticed.
DYNAMIC_WIDTH, DYNAMIC_HEIGHT = 320, 224

#: For each network: output -> [mean magnitude, then SAMPLES values spread over it].
EXPECTED: dict[str, dict[str, list[float]]] = {
    "nanodet": {
        "cls_8": [0.00631753, 0.0314455, 0.017931, 0.0116236, 0.0374153],
        "cls_16": [0.00625711, 0.00933897, 0.0266686, 0.0262263, 0.0293269],
        "cls_32": [0.010121, 0.00607291, 0.023317, 0.00945514, 0.00619778],
        "reg_8": [1.59765, -0.0961775, 0.776244, -0.00574334, -0.922608],
        "reg_16": [0.625667, -0.633042, -0.559531, -0.285447, -1.06208],
        "reg_32": [0.766196, 0.216482, -0.477725, -0.0519325, -0.210513],
    },
    "ssdlite": {
        "scores": [0.000235876, 1.33812e-05, 5.69224e-06, 2.89977e-05, 1.54972e-06],
        "boxes": [0.504872, 0.378437, 0.720664, 0.00832877, 0.785207],
    },
    "centerface": {
        "heatmap": [0.00162413, 0.00255933, 0.00305077, 0.00230077, 0.00106937],
        "scale": [2.38836, 2.14809, 2.22252, 1.74888, 1.80225],
        "offset": [0.0637164, -0.0785581, -0.0760813, -0.0467577, 0.015151],
        "landmarks": [0.523758, 0.160282, 0.641387, 0.683501, 0.709939],
    },
    "mobilefacenet": {
        "embedding": [0.778751, 0.805085, 2.99417, 3.34232, -0.0120993],
    },
}
SAMPLES = 4


def picture(width: int, height: int) -> np.ndarray:
    """A (height, width, 3) picture with edges, ramps and colour."""
    y, x, channel = np.meshgrid(
        np.arange(height), np.arange(width), np.arange(3), indexing="ij"
    )
    ramps = x * (2 + channel) + y * (3 - channel)
    blocks = ((x // 24 + y // 16) % 2) * 90
    return ((ramps // 2 + blocks + channel * 40) % 256).astype(np.uint8)


def feed(manifest: dict, pixels: np.ndarray | None = None) -> np.ndarray:
    """RGB pixels (else the picture) in the layout, colour order and range that the manifest asks for."""
    description = manifest["input"]
    if pixels is None:
        if description["size"] == "dynamic":
            width, height = DYNAMIC_WIDTH, DYNAMIC_HEIGHT
        else:
            width, height = (int(side) for side in description["size"].split("x"))
        pixels = picture(width, height)
    if description["color"] == "bgr":
        pixels = pixels[:, :, ::-1]
    mean, std = (np.array(description[key], np.float32) for key in ("mean", "std"))
    values = (pixels.astype(np.float32) - mean) / std
    if description["layout"] == "nchw":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None])


def answer(manifest: dict, model: Path) -> dict[str, np.ndarray]:
    """What the network answers to the picture, each output as a row of numbers."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    results = session.run(names, {manifest["input"]["name"]: feed(manifest)})
    return {
        name: result.reshape(-1).astype(np.float64)
        for name, result in zip(names, results, strict=True)
    }


def measure(manifest: dict, model: Path) -> dict[str, list[float]]:
    """The numbers that describe what the network computes."""
    numbers = {}
    for name, flat in answer(manifest, model).items():
        places = [(2 * i + 1) * flat.size // (2 * SAMPLES) for i in range(SAMPLES)]
        numbers[name] = [
            float(np.abs(flat).mean()),
            *(float(flat[place]) for place in places),
        ]
    return numbers


def differences(
    found: dict[str, list[float]], expected: dict[str, list[float]]
) -> list[str]:
    """One line for each output that is not as expected."""
    if found.keys() != expected.keys():
        return [f"outputs {sorted(found)} instead of {sorted(expected)}"]
    lines = []
    for name, numbers in expected.items():
        magnitude = numbers[0]  # the floor: a single value may be close to zero
        close = [
            abs(got - want) <= TOLERANCE * max(abs(want), magnitude)
            for got, want in zip(found[name], numbers, strict=True)
        ]
        if not all(close):
            lines.append(f"{name}: {found[name]} instead of {numbers}")
    return lines


def departures(manifest: dict, model: Path, original: Path) -> list[str]:
    """One line for each output in which an int8 network says something else than its original."""
    found, expected = answer(manifest, model), answer(manifest, original)
    if found.keys() != expected.keys():
        return [f"outputs {sorted(found)} instead of {sorted(expected)}"]
    lines = []
    for name, wanted in expected.items():
        error = np.linalg.norm(found[name] - wanted) / np.linalg.norm(wanted)
        if not error <= INT8_TOLERANCE:
            lines.append(
                f"{name}: differs by {error:.2f} of its size, more than {INT8_TOLERANCE}"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--print", action="store_true", help="print the numbers to store"
    )
    parser.add_argument(
        "--like", type=Path, metavar="ORIGINAL.onnx", help="MODEL is its int8 network"
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("model", type=Path)
    arguments = parser.parse_args()
    manifest = tomllib.loads(arguments.manifest.read_text())
    if arguments.like:
        if problems := departures(manifest, arguments.model, arguments.like):
            sys.exit("\n".join(problems))
        return
    found = measure(manifest, arguments.model)
    if arguments.print:
        for name, numbers in found.items():
            print(
                f'        "{name}": [{", ".join(f"{number:.6g}" for number in numbers)}],'
            )
        return
    if manifest["name"] not in EXPECTED:
        sys.exit(f"verify.py has no numbers for {manifest['name']}")
    problems = differences(found, EXPECTED[manifest["name"]])
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
