"""Named arrays that one stage leaves for another, in HDF5: plain numbers, nothing to execute, the same bytes for the same numbers."""

import io
import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy import ndarray


def write_arrays(path: Path, arrays: Mapping[str, ndarray]) -> None:
    """Write arrays by name, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    # by way of memory: HDF5 crashes at the end of the process where the disk was full under one of its files
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=np.asarray(array))
    partial.write_bytes(image.getvalue())
    os.replace(partial, path)


def read_arrays(path: Path) -> dict[str, ndarray]:
    """All arrays of a file by name."""
    with h5py.File(path, "r") as file:
        return {name: np.asarray(file[name][()]) for name in file}
