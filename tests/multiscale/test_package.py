"""`import multiscale` is light, and its names are there when asked for."""

import subprocess
import sys

import pytest

import multiscale

CODE = """
import sys
import multiscale
assert not {"numpy", "torch", "dolfinx"} & set(sys.modules)
multiscale.fit, multiscale.OrbitLaw, multiscale.StressStrainData, multiscale.PointGroup, multiscale.strain_design
assert not {"torch", "dolfinx", "petsc4py", "mpi4py"} & set(sys.modules)
"""


def test_fitting_needs_neither_torch_nor_dolfinx() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=120)


def test_all_names_resolve() -> None:
    for name in multiscale.__all__:
        assert getattr(multiscale, name).__name__ == name
    assert set(multiscale.__all__) <= set(dir(multiscale))
    with pytest.raises(AttributeError, match="missing"):
        _ = multiscale.missing
