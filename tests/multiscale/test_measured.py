"""Measured tests: what they hold, what is refused, and what a law predicts of them."""

from pathlib import Path

import numpy as np
import pytest

from fem.laws import SaintVenantKirchhoff
from multiscale.classical import IsotropicLaw, MooneyRivlin, NeoHooke
from multiscale.data.stress_units import UnitError
from multiscale.data.tables import TableError
from multiscale.measured.measured_test import InvalidTest, Kind, Measure, MeasuredTest
from multiscale.measured.specimen import (
    FREE_FACES,
    NoEquilibrium,
    UnequalFaces,
    isochoric_deformation,
    predicted_stress,
    relaxed_deformation,
)

from .random_laws import random_rotations
from .rubber import KINDS, RANGES, synthetic, treloar

C1, C2 = 0.3, 0.1
MOONEY = IsotropicLaw(MooneyRivlin(C1, C2))


@pytest.mark.parametrize(
    ("kind", "nominal"),
    [
        ("uniaxial", lambda x: 2.0 * (x - x**-2) * (C1 + C2 / x)),
        ("equibiaxial", lambda x: 2.0 * (x - x**-5) * (C1 + C2 * x**2)),
        ("planar", lambda x: 2.0 * (x - x**-3) * (C1 + C2)),
        ("simple shear", lambda x: 2.0 * (C1 + C2) * x),
    ],
)
def test_closed_forms_of_mooney_and_rivlin(kind: Kind, nominal: object) -> None:
    """Rivlin, Phil. Trans. A 241 (1948) 379, section 12 to 15."""
    x = np.linspace(*RANGES[kind], 12)
    expected = nominal(x)  # type: ignore[operator]
    for measure, factor in (("nominal", 1.0), ("cauchy", 1.0 if kind == "simple shear" else x)):
        test = MeasuredTest(kind, x, x, "MPa", measure=measure)  # type: ignore[arg-type]
        assert np.allclose(predicted_stress(MOONEY, [test]), expected * factor, rtol=1e-13, atol=1e-14)
        # a law of changing volume gives the same where the volume is kept
        stiff = IsotropicLaw(MooneyRivlin(C1, C2), 50.0)
        assert np.allclose(predicted_stress(stiff, [test]), expected * factor, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kappa", [0.5, 20.0, 2e4])
def test_free_faces_are_free(kind: Kind, kappa: float) -> None:
    law = IsotropicLaw(MooneyRivlin(C1, C2), kappa)
    x = np.linspace(*RANGES[kind], 12)
    F = relaxed_deformation(law, MeasuredTest(kind, x, x, "MPa", incompressible=False))
    P = law.evaluate(F).first_piola
    for face in FREE_FACES[kind]:
        assert np.abs(P[:, face, face]).max() < 1e-11 * max(kappa, 1.0)
    if kind != "volumetric" and kappa > 1e3:
        blank = MeasuredTest(kind, x, x, "MPa")
        assert np.allclose(F, isochoric_deformation(kind, x), rtol=1e-3)
        kept = predicted_stress(MOONEY, [blank])
        assert np.allclose(
            predicted_stress(law, [MeasuredTest(kind, x, x, "MPa", incompressible=False)]), kept, rtol=2e-3, atol=1e-4
        )


@pytest.mark.parametrize("measure", ["nominal", "cauchy"])
def test_linear_limit(measure: Measure) -> None:
    """Young's, plane-strain, biaxial, shear and bulk modulus of mu = 0.8, kappa = 2; and E100 of silicon (closed form)."""
    mu, kappa, x = 0.8, 2.0, 1e-6
    nu, law = (3 * kappa - 2 * mu) / (2 * (3 * kappa + mu)), IsotropicLaw(NeoHooke(mu), kappa)
    E = 2 * mu * (1 + nu)
    moduli = {
        "uniaxial": E,
        "equibiaxial": E / (1 - nu),
        "planar": E / (1 - nu**2),
        "simple shear": mu,
        "volumetric": kappa,
    }
    for kind in KINDS:
        at = np.array([x, 2 * x]) + (0.0 if kind == "simple shear" else 1.0)
        test = MeasuredTest(kind, at, at, "GPa", measure=measure, incompressible=False)
        assert np.allclose(predicted_stress(law, [test]) / [x, 2 * x], moduli[kind], rtol=1e-4), kind
    silicon = SaintVenantKirchhoff.cubic(165.7, 63.9, 79.6)
    test = MeasuredTest("uniaxial", np.array([1.0 + x]), np.ones(1), "GPa", measure=measure, incompressible=False)
    assert np.isclose(predicted_stress(silicon, [test])[0] / x, 130.13, atol=0.01)


def test_an_anisotropic_law_pulls_its_faces_unequally() -> None:
    constants = np.diag([10.0, 8.0, 12.0, 3.0, 4.0, 5.0])
    constants[:2, :2] += 4.0
    law, x = SaintVenantKirchhoff(constants), np.array([1.1, 1.2])
    with pytest.raises(UnequalFaces, match="use incompressible=False"):
        predicted_stress(law, [MeasuredTest("uniaxial", x, x, "GPa")])
    F = relaxed_deformation(law, MeasuredTest("uniaxial", x, x, "GPa", incompressible=False))
    assert np.abs(F[:, 1, 1] - F[:, 2, 2]).min() > 1e-3


def test_no_equilibrium_is_said() -> None:
    # Saint Venant-Kirchhoff softens in compression: stretched ninefold, its thickness collapses
    law, x = SaintVenantKirchhoff.cubic(1.0, 0.9, 0.05), np.array([0.9, 9.0])
    with pytest.raises(NoEquilibrium, match=r"planar test still bear .* at point 1 \(deformation 9\)"):
        relaxed_deformation(law, MeasuredTest("planar", x, x, "GPa", incompressible=False))


def test_several_tests_at_once() -> None:
    law = IsotropicLaw(MooneyRivlin(C1, C2), 30.0)
    tests = [synthetic(law, kind, incompressible=kind == "planar", points=5 + k) for k, kind in enumerate(KINDS)]
    together = predicted_stress(law, tests)
    assert np.allclose(together, np.concatenate([predicted_stress(law, [test]) for test in tests]), rtol=1e-12)
    assert np.allclose(together, np.concatenate([test.stress for test in tests]), rtol=1e-12)


def test_turning_the_specimen_changes_nothing() -> None:
    law, R = IsotropicLaw(MooneyRivlin(C1, C2), 30.0), random_rotations(np.random.default_rng(0), 1)[0]
    F = isochoric_deformation("planar", np.linspace(1.0, 2.0, 5))
    assert np.allclose(law.evaluate(F @ R).first_piola, law.evaluate(F).first_piola @ R, atol=1e-13)


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("# a comment\nstretch, stress [kPa], stress error [kPa]\n1.1, 100.0, 2.0\n\n1.2, 180.0, 2.5\n")
    test = MeasuredTest.read(path, "uniaxial", measure="cauchy")
    assert (test.kind, test.measure, test.unit, len(test)) == ("uniaxial", "cauchy", "kPa", 2)
    in_mpa = test.in_unit("MPa")
    assert np.allclose(in_mpa.stress, [0.1, 0.18]) and in_mpa.unit == "MPa"
    assert in_mpa.stress_error is not None and np.allclose(in_mpa.stress_error, [0.002, 0.0025])
    path.write_text("gamma,tau\n0.1,3\n0.2,6\n")
    sheared = MeasuredTest.read(path, "simple shear", unit="Pa", deformation="gamma", stress="tau")
    assert sheared.unit == "Pa" and np.allclose(sheared.stress, [3.0, 6.0])
    assert len(treloar("uniaxial")) == 25 and treloar("planar").unit == "MPa"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("stretch,stress\n1.1,2\n1.2,3\n", UnitError, "has no unit, expected one of Pa, kPa, MPa"),
        ("stretch,stress [psi]\n1.1,2\n1.2,3\n", UnitError, "has unit 'psi', expected one of"),
        (
            "stretch,stress [MPa],stress error [kPa]\n1.1,2,1\n1.2,3,1\n",
            UnitError,
            "mixes units .stress in MPa, stress error in kPa",
        ),
        ("stretch [%],stress [MPa]\n1.1,2\n1.2,3\n", UnitError, "unit '%', expected a plain number"),
        ("strain,stress [MPa]\n1.1,2\n", TableError, "has no column 'stretch', it has strain, stress"),
        (
            "stretch,stress [MPa]\n1.1,nan\n",
            TableError,
            "column 'stress' in line 2 of .* is nan, expected a finite number",
        ),
        ("stretch,stress [MPa]\n1.1,n/a\n", TableError, "column 'stress' in line 2 of .* is 'n/a', expected a number"),
        ("stretch,stress [MPa]\n1.1\n", TableError, "line 2 of .* has 1 entries, expected 2"),
        ("stretch,stretch\n1,2\n", TableError, "more than one column 'stretch'"),
        ("stretch,[MPa]\n1,2\n", TableError, r"headed '\[MPa\]', expected `name` or"),
        ("stretch,stress [MPa]\n", TableError, "has 1 lines, expected a header and"),
        (
            "stretch,stress [MPa]\n0.1,2\n0.0,3\n",
            InvalidTest,
            "the deformation is 0 at point 1, expected stretches > 0",
        ),
        ("stretch,stress [MPa]\n1.1,2\n1.2,2\n", InvalidTest, "the stress is 2 MPa at all 2 points: a constant column"),
        (
            "stretch,stress [MPa]\n1.1,2\n1.1,3\n",
            InvalidTest,
            "the deformation is 1.1 at all 2 points: a constant column",
        ),
    ],
)
def test_files_that_are_refused(text: str, error: type[ValueError], message: str, tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text(text)
    with pytest.raises(error, match=message):
        MeasuredTest.read(path, "uniaxial")
    with pytest.raises(TableError, match="cannot be read as text"):
        MeasuredTest.read(tmp_path / "missing.csv", "uniaxial")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "biaxial"}, "kind is 'biaxial', expected one of uniaxial, equibiaxial"),
        ({"measure": "true"}, "measure is 'true', expected one of nominal, cauchy"),
        ({"stress": np.ones(3)}, r"stress has shape \(3,\), expected \(2,\)"),
        ({"stress": np.array([1.0, np.inf])}, "stress is inf at point 1"),
        ({"stress_error": np.array([1.0, 0.0])}, "stress_error is 0 at point 1"),
        ({"kind": "volumetric"}, "expected incompressible=False"),
    ],
)
def test_refusals(fields: dict[str, object], message: str) -> None:
    given = {"kind": "uniaxial", "deformation": np.array([1.1, 1.2]), "stress": np.array([1.0, 2.0]), "unit": "MPa"}
    with pytest.raises(InvalidTest, match=message):
        MeasuredTest(**{**given, **fields})  # type: ignore[arg-type]


def test_unit_of_header_and_argument_must_agree(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    path.write_text("stretch,stress [MPa]\n1.1,2\n1.2,3\n")
    with pytest.raises(UnitError, match="has unit 'MPa' in its header and unit='kPa' was given"):
        MeasuredTest.read(path, "uniaxial", unit="kPa")
