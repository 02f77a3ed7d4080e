"""The constitutive half of atomlaw: designs, data, material symmetry, hyperelastic networks, fitting, domains, coupling.

Names are imported on first use (SPEC 1), so ``import multiscale`` needs neither dolfinx nor torch; `__init__.pyi` says where each one
lives.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
