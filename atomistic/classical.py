"""Classical potentials from matscipy and ASE, with their published parameters; none of them serves elements it has no parameters for."""

from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import Kumagai, StillingerWeber, TersoffBrenner
from matscipy.calculators.manybody.explicit_forms.kumagai import Kumagai_Comp_Mat_Sci_39_Si
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si
from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import Tersoff_PRB_39_5566_Si_C


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


def tersoff() -> Calculator:
    """Silicon, carbon and SiC after Tersoff, Phys. Rev. B 39 (1989) 5566; matscipy's implementation."""
    return ForElements(Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C)), ("C", "Si"))


def kumagai() -> Calculator:
    """Silicon after Kumagai and others, Comput. Mater. Sci. 39 (2007) 457; matscipy's implementation."""
    return ForElements(Manybody(**Kumagai(Kumagai_Comp_Mat_Sci_39_Si)), ("Si",))


def effective_medium() -> Calculator:
    """Effective medium theory for Al, Cu, Ag, Au, Ni, Pd, Pt (Jacobsen, Stoltze and Norskov 1996); ASE's implementation."""
    return EMT()
