"""Finite-strain solids on FEniCSx with a constitutive law of your own.

Names are imported on first use (SPEC 1): the laws and their protocol need numpy only, and dolfinx and PETSc are loaded where something
is solved; `__init__.pyi` says where each name lives.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
