"""Tests of rubber: Treloar's, and tests of a law that we know."""

from pathlib import Path
from typing import get_args

import numpy as np

from fem.law import Law
from multiscale.measured.measured_test import Kind, MeasuredTest
from multiscale.measured.specimen import predicted_stress

FOLDER = Path(__file__).parents[2] / "examples" / "data" / "treloar"

RANGES: dict[Kind, tuple[float, float]] = {
    "uniaxial": (0.6, 3.0), "equibiaxial": (0.8, 2.0), "planar": (0.8, 2.5), "simple shear": (-1.0, 1.5), "volumetric": (0.9, 1.1)
}  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)


def treloar(kind: Kind) -> MeasuredTest:
    return MeasuredTest.read(FOLDER / f"{kind}.csv", kind)


def synthetic(
    law: Law, kind: Kind, *, points: int = 15, incompressible: bool = True, noise: float = 0.0, seed: int = 0
) -> MeasuredTest:
    """A test of the law in MPa, with normal noise of this standard deviation, which the test then states."""
    x = np.linspace(*RANGES[kind], points)
    blank = MeasuredTest(kind, x, np.linspace(1.0, 2.0, points), "MPa", incompressible=incompressible)
    stress = predicted_stress(law, [blank]) + noise * np.random.default_rng(seed).normal(size=points)
    error = np.full(points, noise) if noise > 0.0 else None
    return MeasuredTest(kind, x, stress, "MPa", stress_error=error, incompressible=incompressible)
