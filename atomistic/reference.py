"""Reference models by name: the calculators that label configurations.

Built in are classical potentials; a plug-in adds its own through the entry-point group ``atomlaw.references``, whose value is
a callable that takes keyword parameters and returns an ASE calculator.
"""

from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import StillingerWeber
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si

from atomistic.espresso import quantum_espresso

ENTRY_POINT_GROUP = "atomlaw.references"


class UnknownReference(ValueError):
    """No reference model of that name is registered, or it does not take these parameters."""


class ElementNotCovered(ValueError):
    """A reference model is asked for an element it has no parameters for."""


class ForElements(Calculator):
    """A calculator that refuses elements it has no parameters for, where the one inside would treat them as its own.

    Raises:
        ElementNotCovered: naming the elements.
    """

    def __init__(self, calculator: Calculator, symbols: tuple[str, ...]) -> None:
        super().__init__()
        self.calculator = calculator
        self.symbols = symbols
        self.implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Delegate, once the elements are known to be covered."""
        super().calculate(atoms, properties, system_changes)
        structure: Any = self.atoms
        foreign = sorted(set(structure.get_chemical_symbols()) - set(self.symbols))
        if foreign:
            raise ElementNotCovered(
                f"no parameters for {', '.join(foreign)}; this model covers {', '.join(self.symbols)}"
            )
        self.calculator.calculate(structure, self.implemented_properties, system_changes)
        self.results = {name: self.calculator.results[name] for name in self.implemented_properties}


def stillinger_weber() -> Calculator:
    """Silicon after Stillinger and Weber, Phys. Rev. B 31 (1985) 5262; matscipy's implementation."""
    return ForElements(Manybody(**StillingerWeber(Stillinger_Weber_PRB_31_5262_Si)), ("Si",))


def effective_medium() -> Calculator:
    """Effective medium theory for Al, Cu, Ag, Au, Ni, Pd, Pt (Jacobsen, Stoltze and Norskov 1996); ASE's implementation."""
    return EMT()


BUILT_IN: dict[str, Callable[..., Calculator]] = {
    "stillinger-weber": stillinger_weber,
    "emt": effective_medium,
    "quantum-espresso": quantum_espresso,
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
