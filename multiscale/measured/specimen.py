"""What a law predicts in a testing machine: the stress of a specimen in a measured test, its free faces free of stress.

Of an incompressible specimen the law's P at F with det F = 1 gives the stress up to a pressure, sigma = P F^T - p I, and the free face
gives p = (P F^T)_33: closed form, and whatever the law says of changing volume drops out. Otherwise the free stretches t_f = exp(y_f)
solve the Kirchhoff stress tau_ff = P_ff t_f = 0 by Newton with the derivative that the law's tangent gives,

    dtau_ff / dy_g = A_ffgg t_f t_g + delta_fg P_ff t_f,

all points at once, each step shortened where it does not lower |tau|.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from fem.law import Law, check_response
from multiscale.measured.measured_test import Kind, MeasuredTest

FREE_FACES: Final[dict[Kind, tuple[int, ...]]] = {
    "uniaxial": (1, 2), "equibiaxial": (2,), "planar": (2,), "simple shear": (), "volumetric": ()
}  # fmt: skip
"""Kind -> directions of the faces that bear no stress and move."""

MEASURED: Final[dict[Kind, tuple[int, int]]] = {
    "uniaxial": (0, 0), "equibiaxial": (0, 0), "planar": (0, 0), "simple shear": (0, 1), "volumetric": (0, 0)
}  # fmt: skip
"""Kind -> the component of stress that is measured."""

ITERATIONS: Final = 60
LONGEST_STEP: Final = 0.5
BALANCE: Final = 1e-12
"""Newton stops where |tau| is below this fraction of the tangent; steps are at most so long in the logarithm of the stretch."""


class NoEquilibrium(RuntimeError):
    """No lateral stretch was found at which the free faces are free of stress."""


class UnequalFaces(ValueError):
    """An anisotropic law was asked for a closed form that holds for isotropic ones."""


def isochoric_deformation(kind: Kind, deformation: Float[ndarray, "n"]) -> Float[ndarray, "n 3 3"]:
    """F of the tests, with the free stretches that keep the volume (the volumetric test has none)."""
    x, one = deformation, np.ones_like(deformation)
    if kind == "simple shear":
        F = np.tile(np.eye(3), (len(x), 1, 1))
        F[:, 0, 1] = x
        return F
    stretches = {
        "uniaxial": (x, x**-0.5, x**-0.5),
        "equibiaxial": (x, x, x**-2),
        "planar": (x, one, 1.0 / x),
        "volumetric": (np.cbrt(x),) * 3,
    }[kind]
    return np.stack(stretches, axis=1)[:, :, None] * np.eye(3)


def predicted_stress(law: Law, tests: Sequence[MeasuredTest]) -> Float[ndarray, "n"]:
    """The stress of every point of every test, one after the other, each as its test measures it and in the law's unit.

    Raises:
        NoEquilibrium: a free lateral stretch was not found.
        UnequalFaces: an incompressible uniaxial test of a law that pulls its two lateral faces unequally.
        InadmissibleDeformation: from the law; a state beyond its limit, say.
    """
    F = [
        isochoric_deformation(test.kind, test.deformation) if test.incompressible else relaxed_deformation(law, test)
        for test in tests
    ]
    first_piola = law.evaluate(np.concatenate(F), tangent=False).first_piola
    parts = np.split(first_piola, np.cumsum([len(test) for test in tests])[:-1])
    return np.concatenate([as_measured(P, each, test) for P, each, test in zip(parts, F, tests, strict=True)])


def as_measured(P: Float[ndarray, "n 3 3"], F: Float[ndarray, "n 3 3"], test: MeasuredTest) -> Float[ndarray, "n"]:
    """The component that the test measures, the pressure of an incompressible specimen included."""
    i, j = MEASURED[test.kind]
    kirchhoff = P @ F.transpose(0, 2, 1)
    free = FREE_FACES[test.kind]
    if test.incompressible and free:
        on_faces = kirchhoff[:, free, free]
        if np.ptp(on_faces, axis=1).max() > 1e-8 * np.abs(kirchhoff).max():
            raise UnequalFaces(
                "the law's stresses on the lateral faces differ, its section does not stay similar; use incompressible=False, for "
                "which the lateral stretches are solved for"
            )
        kirchhoff = kirchhoff - on_faces.mean(axis=1)[:, None, None] * np.eye(3)
    if test.measure == "cauchy":
        return np.asarray(kirchhoff[:, i, j] / np.linalg.det(F))
    # P = tau F^-T; the columns of F^-T that matter are those of diagonal F, and of simple shear
    return np.asarray(kirchhoff[:, i, j] / F[:, j, j])


def relaxed_deformation(law: Law, test: MeasuredTest) -> Float[ndarray, "n 3 3"]:
    """F of a compressible specimen whose free faces are free of stress."""
    F = isochoric_deformation(test.kind, test.deformation)
    free = np.array(FREE_FACES[test.kind], dtype=int)
    if not len(free):
        return F
    tau, slope = balance(law, F, free)
    for _ in range(ITERATIONS):
        scale = np.abs(slope).max(axis=(1, 2))
        if (np.abs(tau).max(axis=1) <= BALANCE * scale).all():
            return F
        step = -np.linalg.solve(slope, tau[:, :, None])[:, :, 0]
        step *= np.minimum(1.0, LONGEST_STEP / np.maximum(np.abs(step).max(axis=1), 1e-300))[:, None]
        F, tau, slope = shortened(law, F, free, step, tau, slope)
    worst = int(np.argmax(np.abs(tau).max(axis=1) / np.abs(slope).max(axis=(1, 2))))
    raise NoEquilibrium(
        f"the free faces of the {test.kind} test still bear {np.abs(tau[worst]).max():.3g} at point {worst} "
        f"(deformation {test.deformation[worst]:.6g}) after {ITERATIONS} steps; the law may be unstable there: fit smaller deformations"
    )


def shortened(
    law: Law,
    F: Float[ndarray, "n 3 3"],
    free: ndarray,
    step: Float[ndarray, "n f"],
    tau: Float[ndarray, "n f"],
    slope: Float[ndarray, "n f f"],
) -> tuple[Float[ndarray, "n 3 3"], Float[ndarray, "n f"], Float[ndarray, "n f f"]]:
    """The states after the step, or after half of it, a quarter, ... where the stress would not fall."""
    factor = np.ones(len(F))
    before = np.abs(tau).max(axis=1)
    # at round-off the stress cannot fall any further, and any state is as good
    floor = 1e2 * BALANCE * np.abs(slope).max(axis=(1, 2))
    for _ in range(30):
        trial = F.copy()
        trial[:, free, free] *= np.exp(factor[:, None] * step)
        new_tau, new_slope = balance(law, trial, free)
        worse = ~(np.abs(new_tau).max(axis=1) <= np.maximum(before, floor))
        if not worse.any():
            break
        factor[worse] *= 0.5
    return trial, new_tau, new_slope


def balance(
    law: Law, F: Float[ndarray, "n 3 3"], free: ndarray
) -> tuple[Float[ndarray, "n f"], Float[ndarray, "n f f"]]:
    """tau_ff and its derivative by the logarithms of the free stretches."""
    response = check_response(law.evaluate(F), len(F), tangent=True)
    A, t = np.asarray(response.tangent), F[:, free, free]
    tau = response.first_piola[:, free, free] * t
    a, b = free[:, None], free[None, :]
    slope = A[:, a, a, b, b] * t[:, :, None] * t[:, None, :] + tau[:, :, None] * np.eye(len(free))
    return tau, slope
