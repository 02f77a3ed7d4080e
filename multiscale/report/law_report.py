"""The report of a fit: one self-contained page with what was found, in pictures and numbers, and where the law should not be used."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from multiscale.classical.crystal_fit import fit_elastic_constants
from multiscale.data.dataset import StressStrainData
from multiscale.fits.fit import FittedLaw
from multiscale.fits.judgement import normalised_mse
from multiscale.fits.learning_curve import LearningCurve
from multiscale.laws.reference_state import FitError
from multiscale.laws.strain import elastic_constants_of_tangent, strain_action, strain_tensor, stretch_of_log_strain
from multiscale.report import figures, law_figures
from multiscale.report.law_figures import Curve, EllipticityMap
from multiscale.report.law_paths import Path as StrainPath
from multiscale.report.law_paths import shears, stretches
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.trust.ellipticity import acoustic_minimum
from multiscale.trust.limits import COMPONENTS, DEVIATIONS, DOUBLED, Limits

TEMPLATE: Final = "law_report.html.j2"

BEYOND: Final = 1.3
"""Curves and maps are drawn this far, in units of the data's largest strain."""

POINTS, GRID = 121, 33
"""Of a curve; along each axis of a map."""

DRAWN_TANGENTS: Final = 4000
"""So many components of the tangent are drawn, spread evenly over all."""

EQUAL: Final = 1e-9


def page(
    law: FittedLaw,
    data: StressStrainData,
    limits: Limits,
    *,
    source: str,
    mode: str,
    curve: LearningCurve | None = None,
) -> str:
    """The page as HTML.

    Args:
        data: what the law was fitted to.
        limits: of the law (multiscale.trust.limits).
        source: where the data came from. mode: of the fit.
        curve: the learning curve, where one was measured.
    """
    used = data.select(data.admissible)
    rows = constants_table(law, used)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(TEMPLATE).render(
        title=f"The law of {source}",
        kind=type(law).__name__,
        law=law,
        mode=mode,
        data=data,
        used=len(used),
        limits=limits,
        misses=misses(law, used),
        constants=rows,
        derived=derived_moduli(law.elastic_constants()),
        curve=curve,
        figures=drawn(law, used, limits, rows, curve),
        version=version("atomlaw"),
    )


def drawn(
    law: FittedLaw, data: StressStrainData, limits: Limits, rows: dict[str, Any], curve: LearningCurve | None
) -> dict[str, str]:
    """The figures as SVG text by name; some have no meaning for some laws, and are not there."""
    reach = BEYOND * float(np.abs(np.linalg.eigvalsh(strain_tensor(limits.log_strain))).max())
    names = [f"{name} strain" if k < 3 else f"{name} shear" for k, name in enumerate(COMPONENTS)]
    lines, sheared = stretches(law.symmetry), shears(law.symmetry)
    found = {
        "parity": parity(law, data),
        "curves": law_figures.stress_curves(
            {
                "Uniaxial strain": ("log-strain", [curve_of(law, path, reach) for path in lines]),
                "Simple shear": ("half the amount of shear", [curve_of(law, path, reach) for path in sheared]),
            }
        ),
        "constants": law_figures.elastic_constants(rows["names"], rows["owners"]),
        "ellipticity": law_figures.ellipticity_maps([eigenvalue_map(law, reach, axes) for axes in ((0, 1), (2, 5))]),
        "domain": law_figures.domain(
            limits.log_strain / DOUBLED, names, [trust_of(law, path, reach) for path in lines]
        ),
    }
    C = law.elastic_constants()
    if np.linalg.eigvalsh(C)[0] > 0.0:
        found["modulus"] = law_figures.modulus_surface(np.linalg.inv(C))
    if curve is not None and len(curve.states) > 1:
        found["learning"] = law_figures.errors_by_states(curve.states, curve.errors)
    return found


def parity(law: FittedLaw, data: StressStrainData) -> str:
    """Each label against the law's."""
    response = law.evaluate(data.deformation_gradient)
    panels = []
    for name, title in (("energy", "Energy W"), ("first_piola", "Stress P"), ("tangent", "Tangent A")):
        label = getattr(data, name)
        if label is None:
            continue
        mine = np.asarray(getattr(response, name))
        chosen = np.linspace(0, label.size - 1, min(DRAWN_TANGENTS, label.size)).astype(int)
        panels.append((title, "GPa", mine.flat[chosen], label.flat[chosen]))
    return figures.parity(panels, ordinate="law", abscissa="data")


def misses(law: FittedLaw, data: StressStrainData) -> dict[str, float]:
    """Normalised mean square error on the law's own data, by label."""
    response = law.evaluate(data.deformation_gradient)
    return {
        title: normalised_mse(getattr(response, name), getattr(data, name))
        for name, title in (("energy", "energy"), ("first_piola", "stress"), ("tangent", "tangent"))
        if getattr(data, name) is not None
    }


def curve_of(law: FittedLaw, path: StrainPath, reach: float) -> Curve:
    """The stress along a path, its error bar, and where the law's domain ends."""
    s = np.linspace(-reach, reach, POINTS)
    F = path.deformation_gradient(s)
    response = law.evaluate(F, tangent=False, trust=True)
    bar = None
    if law.uncertainty is not None:
        # the largest that the components' errors can make of it
        bar = DEVIATIONS * np.einsum("kij,ij->k", law.stress_error(F), np.abs(path.probe))
    inside = np.asarray(response.trust) >= 1.0
    return Curve(path.name, s, np.einsum("kij,ij->k", response.first_piola, path.probe), bar, inside)


def trust_of(law: FittedLaw, path: StrainPath, reach: float) -> Curve:
    s = np.linspace(-2.0 * reach, 2.0 * reach, POINTS)
    trust = np.asarray(law.evaluate(path.deformation_gradient(s), tangent=False, trust=True).trust)
    return Curve(path.name, s, trust, None, trust >= 1.0)


def eigenvalue_map(law: FittedLaw, reach: float, axes: tuple[int, int]) -> EllipticityMap:
    """Over two components of the log-strain, the others zero."""
    s = np.linspace(-reach, reach, GRID)
    h = np.zeros((GRID, GRID, 6))
    h[:, :, axes[0]], h[:, :, axes[1]] = s[None, :] * DOUBLED[axes[0]], s[:, None] * DOUBLED[axes[1]]
    response = law.evaluate(stretch_of_log_strain(h.reshape(-1, 6)), trust=True)
    eigenvalue = acoustic_minimum(np.asarray(response.tangent)).eigenvalue
    first, second = (f"log-strain {COMPONENTS[axis]}" for axis in axes)
    trust = np.asarray(response.trust).reshape(GRID, GRID)
    return EllipticityMap((first, second), s, eigenvalue.reshape(GRID, GRID), trust)


def independent_constants(symmetry: MaterialSymmetry) -> list[tuple[int, int]]:
    """Voigt indices of the constants that are not zero, one of those that the group makes equal."""
    basis = symmetry.invariant_stiffnesses()
    kept: list[tuple[int, int]] = []
    for a, b in zip(*np.triu_indices(6), strict=True):
        column = basis[:, a, b]
        if np.abs(column).max() > EQUAL and not any(np.abs(column - basis[:, c, d]).max() < EQUAL for c, d in kept):
            kept.append((int(a), int(b)))
    # C11, C22, C33, C12, ... as books list them
    return sorted(kept, key=lambda pair: (pair[0] != pair[1], pair) if pair[0] < 3 else (2, pair))


def constants_table(law: FittedLaw, data: StressStrainData) -> dict[str, Any]:
    """Names, and whose -> (values, standard errors or None); in the axes of the data, or 3 along the axis of an infinite group."""
    symmetry, C = law.symmetry, law.elastic_constants()
    if isinstance(symmetry, InfiniteGroup):
        # five numbers in its own axes, up to 21 in others
        Q = strain_action(symmetry.frame)
        data, C, symmetry = turned(data, symmetry.frame), Q.T @ C @ Q, InfiniteGroup(symmetry.name)
    pairs = independent_constants(symmetry)
    a, b = (np.array(column) for column in zip(*pairs, strict=True))

    def picked(C: Float[ndarray, "6 6"], error: Float[ndarray, "6 6"] | None) -> tuple[ndarray, ndarray | None]:
        return C[a, b], None if error is None or not error.any() else error[a, b]

    error = None if law.uncertainty is None else law.uncertainty.constants_error()
    owners = {"law": picked(C, error)}
    if data.reference_tangent is not None:
        owners["tangent of the data at F = I"] = picked(
            elastic_constants_of_tangent(data.reference_tangent, data.reference_stress), None
        )
    for order, name in ((3, "cubic polynomial fitted to the data"), (2, "quadratic polynomial fitted to the data")):
        try:
            polynomial = fit_elastic_constants(data, symmetry, order=order)
        except FitError:
            continue
        owners[name] = picked(polynomial.law.elastic_constants, polynomial.elastic_errors)
        break
    return {"names": [f"C{i + 1}{j + 1}" for i, j in pairs], "owners": owners}


def turned(data: StressStrainData, frame: Float[ndarray, "3 3"]) -> StressStrainData:
    """The data in the axes that `frame` carries to those of the data; errors as of independent components."""

    def seen(name: str, rank: int) -> ndarray | None:
        value = getattr(data, name)
        if value is None:
            return None
        error = name.endswith("error")
        x, R = (value**2, frame**2) if error else (value, frame)
        for _ in range(rank):
            # each turn takes the first tensor index and leaves its image at the end
            x = np.tensordot(x, R, axes=(x.ndim - rank, 0))
        return np.asarray(np.sqrt(x) if error else x)

    ranks = {
        "deformation_gradient": 2, "first_piola": 2, "first_piola_error": 2, "reference_stress": 2,
        "tangent": 4, "tangent_error": 4, "reference_tangent": 4,
    }  # fmt: skip
    fields: dict[str, Any] = {name: seen(name, rank) for name, rank in ranks.items()}
    return replace(data, **fields)


def derived_moduli(C: Float[ndarray, "6 6"]) -> list[tuple[str, float, str]]:
    """Bulk and shear modulus of a polycrystal between Voigt's and Reuss's bounds, and how anisotropic the material is.

    Hill, Proc. Phys. Soc. A 65 (1952) 349; A^U of Ranganathan and Ostoja-Starzewski, Phys. Rev. Lett. 101 (2008) 055504.
    """
    if not np.linalg.eigvalsh(C)[0] > 0.0:
        return []
    S = np.linalg.inv(C)
    normal, shear = slice(0, 3), slice(3, 6)
    K_voigt = float(C[normal, normal].sum()) / 9.0
    G_voigt = (1.5 * float(np.trace(C[normal, normal])) - 0.5 * float(C[normal, normal].sum())) / 15.0
    G_voigt += float(np.trace(C[shear, shear])) / 5.0
    K_reuss = 1.0 / float(S[normal, normal].sum())
    G_reuss = 15.0 / (
        6.0 * float(np.trace(S[normal, normal]))
        - 2.0 * float(S[normal, normal].sum())
        + 3.0 * float(np.trace(S[shear, shear]))
    )
    return [
        ("bulk modulus, Hill", 0.5 * (K_voigt + K_reuss), "GPa"),
        ("shear modulus, Hill", 0.5 * (G_voigt + G_reuss), "GPa"),
        ("universal anisotropy", 5.0 * G_voigt / G_reuss + K_voigt / K_reuss - 6.0, ""),
    ]


def short_constants(rows: dict[str, Any], most: int = 9) -> str:
    """The law's constants in a line."""
    values, errors = rows["owners"]["law"]
    named: Sequence[str] = [
        f"{name} {value:.1f}" + ("" if errors is None else f" ± {error:.1f}")
        for name, value, error in zip(rows["names"], values, values if errors is None else errors, strict=True)
    ]
    return ", ".join(named[:most]) + (", ..." if len(named) > most else "") + " GPa"
