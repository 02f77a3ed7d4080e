"""Reference models by name: the calculators that label configurations.

Built in are classical potentials, LAMMPS, Quantum ESPRESSO, potentials of our own and of n2p2, and any calculator class of ASE. A plug-in
adds its own through the entry-point group ``atomlaw.references``, whose value is a callable that takes keyword parameters and returns an
ASE calculator.
"""

import os
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

from ase.calculators.calculator import Calculator

from atomistic.calculator import NeuralCalculator
from atomistic.classical import effective_medium, kumagai, stillinger_weber, tersoff
from atomistic.espresso import quantum_espresso
from atomistic.lammps import lammps
from atomistic.n2p2 import read_n2p2
from atomistic.potential import NeuralPotential

ENTRY_POINT_GROUP: Final = "atomlaw.references"


class UnknownReference(ValueError):
    """No reference model of that name is registered, or it does not take these parameters."""


def neural_potential(path: str | os.PathLike[str]) -> NeuralCalculator:
    """A potential of our own, from its safetensors file."""
    return NeuralCalculator(NeuralPotential.load(path))


def n2p2_potential(folder: str | os.PathLike[str], units: str) -> NeuralCalculator:
    """A potential of n2p2 or RuNNer, from its folder; `units` as in `read_n2p2`."""
    return NeuralCalculator(read_n2p2(folder, units=units))


def ase_calculator(calculator: str, **parameters: Any) -> Calculator:
    """A calculator class by its full name, such as "ase.calculators.lj.LennardJones", made with `parameters`.

    Raises:
        UnknownReference: where there is no such class, or it is no ASE calculator.
    """
    module, _, name = calculator.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownReference(
            f"no calculator {calculator!r} ({error}); expected the full name of a class, such as "
            "'ase.calculators.lj.LennardJones'"
        ) from error
    if not (isinstance(found, type) and issubclass(found, Calculator)):
        raise UnknownReference(f"{calculator!r} is {found!r}, expected a class of ASE calculators")
    return found(**parameters)


BUILT_IN: Final[dict[str, Callable[..., Calculator]]] = {
    "stillinger-weber": stillinger_weber,
    "tersoff": tersoff,
    "kumagai": kumagai,
    "emt": effective_medium,
    "lammps": lammps,
    "quantum-espresso": quantum_espresso,
    "potential": neural_potential,
    "n2p2": n2p2_potential,
    "ase": ase_calculator,
}


def reference_names() -> list[str]:
    """Names of all registered reference models."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def reference_calculator(name: str, **parameters: object) -> Calculator:
    """The reference model registered as `name`, made with `parameters`.

    Raises:
        UnknownReference: where the name is not registered or the parameters do not fit.
    """
    plugins = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name in BUILT_IN:
        factory = BUILT_IN[name]
    elif name in plugins:
        factory = plugins[name].load()
    else:
        close = get_close_matches(name, reference_names(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UnknownReference(f"reference {name!r} is not registered, expected one of {reference_names()}{hint}")
    try:
        return factory(**parameters)
    except TypeError as error:
        raise UnknownReference(f"reference {name!r} does not take the parameters {parameters}: {error}") from error
