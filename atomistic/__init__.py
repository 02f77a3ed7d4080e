"""Atoms: neural network potentials, molecular dynamics, relaxation and virial stress.

Units are those of ASE: eV, Angstrom, K; stress in eV/A^3, tension positive.

Names are imported on first use (SPEC 1); `__init__.pyi` says where each one lives.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
