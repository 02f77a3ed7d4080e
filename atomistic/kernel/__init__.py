"""Compiled evaluation of potentials: descriptors, networks, forces and virial in one C kernel, built at first use (`atomistic.compiler`).

The C text of a kernel is made for a set of descriptors: dimensions are constants and the four-body polynomials are written out. Weights
are data. The same functions serve LAMMPS: they take rows of neighbours and the positions of atoms and ghosts.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from cffi import FFI

from atomistic.body_ordered import BodyOrdered
from atomistic.compiler import library_or_warning
from atomistic.kernel import body_ordered, symmetry_functions
from atomistic.kernel.calling import Kernel as Kernel
from atomistic.kernel.networks import ACTIVATION_CODES
from atomistic.network import Network
from atomistic.symmetry_functions import SymmetryFunctions

NO_KERNEL_VARIABLE: Final = "ATOMLAW_TORCH_POTENTIALS"
"""Environment variable that, set to anything, keeps potentials on torch."""


def kernel_for(descriptors: Any, networks: Mapping[int, Network]) -> Kernel | None:
    """The networks bound to their compiled kernel.

    None where torch must do: descriptors or activations without a kernel, weights on another device than the CPU, the environment variable
    `NO_KERNEL_VARIABLE`, or a kernel that cannot be built (with the warning `KernelUnavailable`, once).
    """
    known = all(set(network.activations) <= set(ACTIVATION_CODES) for network in networks.values())
    on_cpu = all(tensor.device.type == "cpu" for network in networks.values() for tensor in network.parameters)
    if not known or not on_cpu or NO_KERNEL_VARIABLE in os.environ:
        return None
    if isinstance(descriptors, BodyOrdered):
        opened = loaded(body_ordered.NAME, body_ordered.source(descriptors), body_ordered.INTERFACE)
        return None if opened is None else body_ordered.bound(*opened, descriptors, networks)
    if isinstance(descriptors, SymmetryFunctions):
        opened = loaded(symmetry_functions.NAME, symmetry_functions.source(descriptors), symmetry_functions.INTERFACE)
        return None if opened is None else symmetry_functions.bound(*opened, descriptors, networks)
    return None


@cache
def loaded(name: str, source: str, interface: str) -> tuple[Any, FFI] | None:
    """The library of a source; None with a warning where it cannot be built."""
    without = "a potential runs on torch, a hundred times slower"
    return library_or_warning(name, source, interface, without=without, variable=NO_KERNEL_VARIABLE)
