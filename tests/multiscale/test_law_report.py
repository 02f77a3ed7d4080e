"""What a report is made of: curves along directions that differ, constants, moduli, limits, learning curves."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from fem.laws import SaintVenantKirchhoff
from multiscale.data.dataset import StressStrainData
from multiscale.fits.invariant_law import fit_invariant_law
from multiscale.fits.learning_curve import learning_curve
from multiscale.laws.reference_state import FitError
from multiscale.report import law_report
from multiscale.report.law_figures import youngs_modulus
from multiscale.report.law_paths import shears, stretches
from multiscale.report.law_report import (
    constants_table,
    curve_of,
    derived_moduli,
    eigenvalue_map,
    independent_constants,
    turned,
)
from multiscale.sampling.design import strain_design
from multiscale.symmetry.material_symmetry import InfiniteGroup
from multiscale.symmetry.point_group import PointGroup
from multiscale.trust.limits import limits_of

from .random_laws import random_law

CUBIC, HEXAGONAL = PointGroup.named("m-3m"), PointGroup.named("6/mmm")
FIBRES = InfiniteGroup("transversely isotropic", (0.0, 0.6, 0.8))
FIBRES_UPRIGHT = InfiniteGroup("transversely isotropic")


def test_paths_are_those_that_the_symmetry_tells_apart() -> None:
    assert [path.name for path in stretches(CUBIC)] == ["[100]", "[110]", "[111]"]
    assert [path.name for path in shears(CUBIC)] == ["xy"]
    assert [path.name for path in stretches(PointGroup.named("4/mmm"))] == ["[100]", "[001]", "[110]", "[101]"]
    assert [path.name for path in shears(PointGroup.named("4/mmm"))] == ["xy", "xz"]
    assert len(stretches(PointGroup.named("-1"))) == 4 and len(shears(PointGroup.named("-1"))) == 3
    assert len(stretches(InfiniteGroup("isotropic"))) == 1 and len(shears(FIBRES)) == 2
    along = stretches(FIBRES)[0].deformation_gradient(np.array([0.1]))[0]
    assert np.allclose(along @ (0.0, 0.6, 0.8), np.exp(0.1) * np.array((0.0, 0.6, 0.8)))
    for path in (*stretches(HEXAGONAL), *shears(HEXAGONAL)):
        assert np.array_equal(path.deformation_gradient(np.zeros(1))[0], np.eye(3))


def test_curves_start_with_the_elastic_constants() -> None:
    law = random_law(CUBIC, 0)
    C, h = law.elastic_constants(), 1e-5
    slopes = []
    for path in (stretches(CUBIC)[0], shears(CUBIC)[0]):
        curve = curve_of(law, path, h)
        slopes.append((curve.stress[-1] - curve.stress[0]) / (2 * h))
        assert curve.inside.all() and curve.bar is None
    assert slopes == pytest.approx([C[0, 0], 2.0 * C[3, 3]], rel=1e-3)


def test_constants_of_the_classes() -> None:
    def names(group: PointGroup | InfiniteGroup) -> list[str]:
        return [f"C{a + 1}{b + 1}" for a, b in independent_constants(group)]

    assert names(CUBIC) == ["C11", "C12", "C44"]
    assert names(HEXAGONAL) == ["C11", "C33", "C12", "C13", "C44", "C66"]
    assert set(names(PointGroup.named("-3m"))) > {"C14"}
    assert len(names(PointGroup.named("-1"))) == 21


def test_constants_of_a_tilted_axis_are_told_in_its_own_axes() -> None:
    """Of a hexagonal polynomial law turned by a frame, with its labels: the law's row and the others' are those of the axis along z."""
    C = FIBRES_UPRIGHT.project_stiffness(
        SaintVenantKirchhoff.cubic(10.0, 4.0, 2.5).elastic_constants + np.diag([0, 0, 3.0, 0, 0, 0])
    )
    upright = SaintVenantKirchhoff(0.5 * np.where(np.abs(C) > 1e-9, C + C.T, 0.0))
    R, G = FIBRES.frame, strain_design(20, 0.03, seed=0)
    F = R @ G @ R.T
    response = upright.evaluate(G)
    rest = upright.evaluate(np.eye(3)[None])
    data = StressStrainData(
        F,
        first_piola=R @ response.first_piola @ R.T,
        tangent=np.einsum("nabcd,ia,jb,kc,ld->nijkl", response.tangent, R, R, R, R, optimize=True),
        first_piola_error=np.full(F.shape, 1e-3),
        reference_tangent=np.einsum("abcd,ia,jb,kc,ld->ijkl", rest.tangent[0], R, R, R, R, optimize=True),
    )
    law = fit_invariant_law(data, FIBRES, neurons=1, starts=1)
    table = constants_table(law, data)
    assert table["names"] == ["C11", "C33", "C12", "C13", "C44", "C66"]
    expected = [C[0, 0], C[2, 2], C[0, 1], C[0, 2], C[3, 3], C[5, 5]]
    assert len(table["owners"]) == 3
    for values, _ in table["owners"].values():
        assert values == pytest.approx(expected, rel=1e-3)
    back = turned(data, R)
    assert np.allclose(back.deformation_gradient, G) and np.allclose(back.labels("tangent"), response.tangent)
    assert np.allclose(back.labels("first_piola_error"), 1e-3)


def test_moduli() -> None:
    """Silicon after Wortman and Evans (J. Appl. Phys. 36 (1965) 153): E is 130, 169 and 188 GPa along [100], [110] and [111]."""
    C = SaintVenantKirchhoff.cubic(165.7, 63.9, 79.6).elastic_constants
    n = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    n /= np.linalg.norm(n, axis=1)[:, None]
    assert youngs_modulus(np.linalg.inv(C), n) == pytest.approx([130.0, 169.0, 188.0], abs=0.6)
    found = {name: value for name, value, _ in derived_moduli(C)}
    assert found["bulk modulus, Hill"] == pytest.approx((165.7 + 2 * 63.9) / 3.0)
    # 6/5 (sqrt A - 1/sqrt A)^2 of a cubic crystal, A = 2 C44 / (C11 - C12)
    A = 2 * 79.6 / (165.7 - 63.9)
    assert found["universal anisotropy"] == pytest.approx(1.2 * (A**0.5 - A**-0.5) ** 2)
    assert derived_moduli(-C) == []


def test_map_of_ellipticity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(law_report, "GRID", 3)
    law = random_law(CUBIC, 0, neurons=0)
    found = eigenvalue_map(law, 0.02, (0, 5))
    C = law.elastic_constants()
    assert found.eigenvalue[1, 1] == pytest.approx(min(C[3, 3], 0.5 * (C[0, 0] - C[0, 1])), rel=1e-6)
    assert found.trust[1, 1] == 1.0 and found.names == ("log-strain xx", "log-strain xy")


def test_limits_say_what_is_wrong() -> None:
    law, F = random_law(CUBIC, 0, neurons=0), strain_design(20, 0.05, seed=0)
    data = StressStrainData(F, first_piola=law.evaluate(F).first_piola)
    sound = limits_of(law, data)
    assert len(sound.sentences) == 4 and sound.error_bar is None and sound.share_lost == 0.0
    assert (
        sound.sentences[0].startswith("Outside of its data, log-strains xx -") and "no error bars" in sound.sentences[3]
    )
    # soft in one shear: ellipticity is lost, the constants are no material's, the stress is missed
    soft = replace(law, constants=law.constants - 1.02 * np.diag([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]) * law.constants[3, 3])
    told = " ".join(limits_of(soft, data, ["something else"]).sentences)
    for part in (
        "not strongly elliptic: at ",
        "have the eigenvalue -",
        "it misses its own data",
        "The fit warned: something else.",
    ):
        assert part in told


def test_learning_curve_falls() -> None:
    law = random_law(CUBIC, 2, neurons=2)
    F = strain_design(60, 0.05, seed=0)
    response = law.evaluate(F)
    data = StressStrainData(F, energy=response.energy, first_piola=response.first_piola)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learning_curve(data, CUBIC, neurons=2, starts=2)
    assert found.states == (12, 24, 48) and found.held_out == 12 and list(found.errors) == ["stress", "energy"]
    assert found.errors["stress"][-1] < 1e-4
    assert str(found).splitlines()[-1] == "normalised mean square errors on 12 states held out"
    few = learning_curve(data, CUBIC, neurons=6, starts=1, states=[3, 30])
    assert few.states == (30,)
    with pytest.raises(FitError, match=r"asked for \[49\] states, expected numbers from 1 to 48"):
        learning_curve(data, CUBIC, states=[49])
    with pytest.raises(FitError, match="are too few for this network"):
        learning_curve(data, CUBIC, neurons=100, states=[10])
