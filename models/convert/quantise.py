"""Makes the int8 network of one: quantise.py MANIFEST.toml MODEL.onnx OUT.onnx RECIPE FOOTAGE...

Static quantisation of the convolutions, which do nearly all of the work, with
one scale for each channel. The range of each activation is what it reaches on
frames of the footage, fed as the manifest says. The bytes vary between
machines, as sums do, so RECIPE, which says what it was made from and how, is
stored in the file, and `verify.py --like` looks at what it computes.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from verify import feed

# 62 frames of the ten and four seconds there are; more of them change nothing.
EVERY = 6


class Frames(CalibrationDataReader):
    """Frames of the footage as the network wants them."""

    def __init__(self, manifest: dict, footage: list[Path]):
        self._name = manifest["input"]["name"]
        self._frames = (
            feed(manifest, pad(manifest, frame))
            for path in footage
            for frame in decode(path)
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        frame = next(self._frames, None)
        return None if frame is None else {self._name: frame}


def decode(path: Path) -> Iterator[np.ndarray]:
    with av.open(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % EVERY == 0:
                yield frame.to_ndarray(format="rgb24")


def pad(manifest: dict, frame: np.ndarray) -> np.ndarray:
    """The frame at the top left of a picture whose sides the network takes."""
    multiple = manifest["input"]["multiple"]
    height, width = (-side % multiple for side in frame.shape[:2])
    fill = manifest["input"]["pad"]
    return np.pad(frame, ((0, height), (0, width), (0, 0)), constant_values=fill)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("footage", type=Path, nargs="+")
    arguments = parser.parse_args()
    manifest = tomllib.loads(arguments.manifest.read_text())
    quantize_static(
        arguments.model,
        arguments.out,
        Frames(manifest, arguments.footage),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    model = onnx.load(arguments.out)
    onnx.helper.set_model_props(model, {"porchlight.recipe": arguments.recipe})
    onnx.save(model, arguments.out)


if __name__ == "__main__":
    main()
