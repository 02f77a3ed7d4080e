"""One entry for all fits: which law a material gets, by its symmetry and the mode asked for.

mode         finite group                          isotropic, transversely isotropic
free         orbit law                             invariant law
penalised    the same, with a price on negative acoustic eigenvalues
polyconvex   polyconvex law                        polyconvex law
"""

from typing import Final, Literal, get_args

from multiscale.data.broken_symmetry import warn_of_broken_symmetry
from multiscale.data.closed_cycles import warn_of_open_cycles
from multiscale.data.dataset import StressStrainData
from multiscale.fits.invariant_law import fit_invariant_law, fit_polyconvex_law
from multiscale.fits.orbit_law import Progress, fit_orbit_law, usable
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.reference_state import FitError, ReferenceStress
from multiscale.symmetry.material_symmetry import ISOTROPIC, TRANSVERSELY_ISOTROPIC, InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import PointGroup

Mode = Literal["free", "penalised", "polyconvex"]

FittedLaw = OrbitLaw | InvariantLaw | PolyconvexLaw

ORBIT_NEURONS: Final = 12
ARGUMENT_NEURONS: Final = 6
"""Neurons where nobody says: of orbit laws; of laws of invariants and polyconvex ones."""


def fit(
    data: StressStrainData,
    symmetry: MaterialSymmetry,
    *,
    mode: Mode = "free",
    neurons: int | None = None,
    seed: int = 0,
    starts: int = 8,
    reference_stress: ReferenceStress = "zero",
    progress: Progress | None = None,
) -> FittedLaw:
    """The law of a material from its strain-stress data, of which W, P and A are each optional.

    States flagged inadmissible are left out. The same data, arguments and machine give the same law. Warns (NotAPotential,
    BrokenSymmetry, StressAtRest, PoorFit, DesignHole) where the stress is the derivative of no potential, breaks the symmetry, does not
    vanish at F = I as asked, or is missed by the law, and where the states leave a part of their own box out.

    Args:
        data: at least as many numbers as unknowns.
        symmetry: the group that the law is to have, exactly; PointGroup.of(atoms) reads it off a crystal.
        mode: "free"; "penalised": negative acoustic eigenvalues cost (multiscale.fits.penalty); "polyconvex": by construction.
        neurons: of the hidden layer, before the group's images are written out; by default 12 of an orbit law, else 6.
        seed: of everything drawn.
        starts: the best of so many is kept.
        reference_stress: at F = I: "zero", "fit", or its value in GPa; a polyconvex law has none.
        progress: called with the fraction done and a message.

    Raises:
        FitError: an unknown mode, or a reference stress that it does not have; TooFewStates, ContradictorySymmetry,
            ContradictoryReferenceStress.
    """
    data = usable(data)
    if data.first_piola is not None:
        warn_of_open_cycles(data)
    law = fitted_law(data, symmetry, mode, neurons, seed, starts, reference_stress, progress)
    if data.first_piola is not None:
        warn_of_broken_symmetry(law, data, symmetry)
    return law


def symmetry_named(name: str, axis: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> MaterialSymmetry:
    """A symmetry by its name: a Hermann-Mauguin symbol in the standard setting, "isotropic", or "transversely isotropic" about an axis.

    Raises:
        UnknownPointGroup: no such name.
        InvalidSymmetry: an axis that is none.
    """
    if name in (ISOTROPIC, TRANSVERSELY_ISOTROPIC):
        return InfiniteGroup(name, axis)
    return PointGroup.named(name)


def fitted_law(
    data: StressStrainData,
    symmetry: MaterialSymmetry,
    mode: Mode,
    neurons: int | None,
    seed: int,
    starts: int,
    reference_stress: ReferenceStress,
    progress: Progress | None,
) -> FittedLaw:
    """The law of this symmetry and mode, its data not checked; arguments as of `fit`."""
    if mode not in get_args(Mode):
        raise FitError(f"mode is {mode!r}, expected one of {', '.join(get_args(Mode))}")
    count = ARGUMENT_NEURONS if neurons is None else neurons
    if mode == "polyconvex":
        if not (isinstance(reference_stress, str) and reference_stress == "zero"):
            raise FitError(
                f"reference_stress is {reference_stress!r} with mode 'polyconvex', whose stress at F = I is zero by construction; "
                "leave it out, or use another mode"
            )
        return fit_polyconvex_law(data, symmetry, neurons=count, seed=seed, starts=starts, progress=progress)
    if isinstance(symmetry, PointGroup):
        return fit_orbit_law(
            data,
            symmetry,
            neurons=ORBIT_NEURONS if neurons is None else neurons,
            seed=seed,
            starts=starts,
            progress=progress,
            reference_stress=reference_stress,
            mode=mode,
        )
    return fit_invariant_law(
        data,
        symmetry,
        neurons=count,
        seed=seed,
        starts=starts,
        progress=progress,
        reference_stress=reference_stress,
        mode=mode,
    )
