"""The constitutive half of atomlaw: designs, data, material symmetry, hyperelastic networks, fitting, domains, coupling.

Names are imported on first use, so ``import multiscale`` needs neither dolfinx nor torch.
"""

from importlib import import_module
from typing import Any

EXPORTS = {
    "PointGroup": "symmetry",
    "UnknownPointGroup": "symmetry",
    "StressStrainData": "dataset",
    "InvalidData": "dataset",
    "DataFileError": "dataset",
    "strain_design": "design",
    "Domain": "domain",
    "OrbitLaw": "orbit_network",
    "LawFileError": "law_file",
    "fit": "fitting",
    "FitError": "fitting",
    "normalised_mse": "fitting",
    "sample": "sampling",
    "CauchyBornLaw": "cauchy_born",
    "sample_thermal": "thermal",
}
"""Public name -> module of this package that defines it."""

__all__ = sorted(EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *EXPORTS})
