"""Converts one network: convert.py NETWORK OUT.onnx SOURCE...

Run by `models/fetch` with the packages of `models/requirements.txt`.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

NETWORKS = ("nanodet", "ssdlite", "centerface", "mobilefacenet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", type=Path, nargs="+")
    arguments = parser.parse_args()
    # One network's import must not need another's packages.
    model = importlib.import_module(arguments.network).convert(arguments.sources)
    arguments.out.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
