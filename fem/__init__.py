"""Finite-strain solids on FEniCSx with a constitutive law of your own.

`import fem` loads neither dolfinx nor PETSc: the laws and their protocol need numpy only, and everything which solves
is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fem.law import InadmissibleDeformation, Law, Response, ShapeError, check_deformation_gradient

if TYPE_CHECKING:
    from fem.load_stepping import LoadNotConverged, LoadStep
    from fem.mesh import Mesh, MeshError, MeshNameError, read_mesh
    from fem.solid import Solid
    from fem.solution import Solution

_HOME = {
    "Mesh": "fem.mesh",
    "MeshError": "fem.mesh",
    "MeshNameError": "fem.mesh",
    "read_mesh": "fem.mesh",
    "LoadNotConverged": "fem.load_stepping",
    "LoadStep": "fem.load_stepping",
    "Solid": "fem.solid",
    "Solution": "fem.solution",
}

__all__ = [
    "InadmissibleDeformation",
    "Law",
    "LoadNotConverged",
    "LoadStep",
    "Mesh",
    "MeshError",
    "MeshNameError",
    "Response",
    "ShapeError",
    "Solid",
    "Solution",
    "check_deformation_gradient",
    "read_mesh",
]


def __getattr__(name: str) -> Any:
    """Load the part of the package which defines `name` (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'fem' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
