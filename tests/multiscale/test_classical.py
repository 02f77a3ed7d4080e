"""Classical laws with random parameters: derivatives, objectivity, the state of rest; and what each is known for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fem.laws
from fem.c_function import NoCFunction
from fem.law import InadmissibleDeformation, Law
from multiscale.classical import (
    ArrudaBoyce,
    BeyondLocking,
    Carroll,
    Gent,
    InvalidParameters,
    IsotropicLaw,
    MooneyRivlin,
    NeoHooke,
    Ogden,
    ThirdOrderElasticity,
    VolumeChange,
    Yeoh,
)
from multiscale.classical.potentials import inverse_langevin
from multiscale.laws.compiled_law import CompiledLaw
from multiscale.laws.convex_network import ConvexNetworkPotential
from multiscale.laws.strain import stiffness_components
from multiscale.symmetry.point_group import PointGroup

from .random_laws import random_rotations, random_strains

I = np.eye(3)[None]  # noqa: E741


def random_classical_law(name: str, seed: int) -> Law:
    """Moduli of order one; potentials that lock do so beyond the strains used here."""
    rng = np.random.default_rng(seed)
    c = rng.uniform(0.2, 1.0, 9)
    laws = {
        "neo-Hooke": lambda: NeoHooke(c[0]),
        "Mooney-Rivlin": lambda: MooneyRivlin(c[0], c[1]),
        "Yeoh": lambda: Yeoh(c[0], 0.1 * c[1], 0.01 * c[2]),
        "Ogden": lambda: Ogden((c[0], c[1], -c[2]), (1.3, 5.0, -2.0 * c[3])),
        "Gent": lambda: Gent(c[0], 20.0 + c[1]),
        "Arruda-Boyce": lambda: ArrudaBoyce(c[0], 8.0 + 10.0 * c[1]),
        "Carroll": lambda: Carroll(c[0], 1e-3 * c[1], c[2]),
    }
    if name == "third order":
        return ThirdOrderElasticity.cubic(*(5.0 * c[:3] + [10.0, 0.0, 0.0]), *(-c[:6]))
    return IsotropicLaw(laws[name](), bulk_modulus=float(rng.uniform(1.0, 30.0)))


NAMES = ("neo-Hooke", "Mooney-Rivlin", "Yeoh", "Ogden", "Gent", "Arruda-Boyce", "Carroll", "third order")
LAWS = st.builds(random_classical_law, st.sampled_from(NAMES), st.integers(0, 2**32 - 1))
ISOTROPIC = st.builds(random_classical_law, st.sampled_from(NAMES[:-1]), st.integers(0, 2**32 - 1))


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def states(seed: int) -> np.ndarray:
    """Large strains, and states whose stretches coincide, nearly coincide, or hardly differ from one."""
    rng = np.random.default_rng(seed)
    R = random_rotations(rng, 5)
    near = np.diag([1.3, 1.3 * (1.0 + 1e-9), 0.8])
    return np.concatenate(
        [
            random_strains(seed, 4, largest=0.4),
            R[:1] * 1.2,
            R[1:2] @ np.diag([0.7, 1.4, 1.4]),
            R[2:3] @ near @ R[3],
            np.eye(3)[None] + 1e-5 * rng.normal(size=(1, 3, 3)),
        ]
    )


@settings(max_examples=60, deadline=None)
@given(law=LAWS, seed=st.integers(0, 2**32 - 1))
def test_stress_and_tangent_are_derivatives(law: Law, seed: int) -> None:
    F = states(seed)
    response = law.evaluate(F)
    P, A = np.empty_like(response.first_piola), np.empty((len(F), 3, 3, 3, 3))
    # fourth-order central differences
    h, weights = 1e-3, {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
    for k in range(3):
        for L in range(3):
            step = np.zeros((3, 3))
            step[k, L] = h
            moved = {m: law.evaluate(F + m * step, tangent=False) for m in weights}
            P[:, k, L] = sum(w * moved[m].energy for m, w in weights.items()) / h
            A[..., k, L] = sum(w * moved[m].first_piola for m, w in weights.items()) / h
    # h^4 / 30 of the fifth derivative is left: 1e-10 or so of the modulus
    assert response.tangent is not None
    scale = np.abs(response.tangent).max()
    assert np.abs(P - response.first_piola).max() < 1e-7 * scale
    assert np.abs(A - response.tangent).max() < 1e-7 * scale
    assert relative(response.tangent, response.tangent.transpose(0, 3, 4, 1, 2)) < 1e-13


def random_convex_law(seed: int) -> IsotropicLaw:
    rng = np.random.default_rng(seed)
    row = rng.uniform(0.0, 1.0, (3, 4))
    potential = ConvexNetworkPotential(row[0, :2], 10.0 * row[1], -8.0 * row[2], row[0], np.array([2.0, 3.0]))
    return IsotropicLaw(potential, bulk_modulus=5.0)


@settings(max_examples=60, deadline=None)
@given(law=LAWS | st.builds(random_convex_law, st.integers(0, 2**32 - 1)), seed=st.integers(0, 2**32 - 1))
def test_c_equals_the_numpy_path(law: CompiledLaw, seed: int) -> None:
    if law.backend != "c":
        pytest.skip("no C compiler")
    F, R = states(seed), random_rotations(np.random.default_rng(seed), len(states(seed)))
    for turned in (None, R):
        known, told = (path(F, turned, tangent=True, trust=True) for path in (law._turned_in_c, law._turned_in_numpy))
        assert known.trust is None and told.trust is None
        for name in ("energy", "first_piola", "tangent"):
            assert relative(getattr(known, name), getattr(told, name)) < 1e-12


def test_locking_is_told_by_the_c_function_as_well() -> None:
    law, F = IsotropicLaw(Gent(1.0, 2.0), bulk_modulus=10.0), np.tile(np.eye(3), (20, 1, 1))
    F[13] = np.diag([2.0, 2.0, 0.25])
    with pytest.raises(BeyondLocking) as raised:
        law.evaluate(F)
    assert raised.value.point == 13
    if law.backend == "c":
        assert law.c_function().call(F) == 13
    with pytest.raises(NoCFunction, match="incompressible laws"):
        IsotropicLaw(Gent(1.0, 2.0)).c_function()


@settings(max_examples=40, deadline=None)
@given(law=LAWS, seed=st.integers(0, 2**32 - 1))
def test_objectivity(law: Law, seed: int) -> None:
    F = states(seed)
    Q = random_rotations(np.random.default_rng(seed + 1), 1)[0]
    still, turned = law.evaluate(F), law.evaluate(Q @ F)
    assert still.tangent is not None and turned.tangent is not None
    assert relative(turned.energy, still.energy) < 1e-12
    assert relative(turned.first_piola, Q @ still.first_piola) < 1e-12
    assert relative(turned.tangent, np.einsum("ia,kb,naJbL->niJkL", Q, Q, still.tangent)) < 1e-12


@settings(max_examples=40, deadline=None)
@given(law=ISOTROPIC, seed=st.integers(0, 2**32 - 1))
def test_isotropy_and_moduli_at_rest(law: IsotropicLaw, seed: int) -> None:
    F, Q = states(seed), random_rotations(np.random.default_rng(seed + 1), 1)[0]
    assert relative(law.evaluate(F @ Q).first_piola, law.evaluate(F).first_piola @ Q) < 1e-12
    rest = law.evaluate(I)
    assert rest.tangent is not None and law.bulk_modulus is not None
    assert abs(rest.energy[0]) < 1e-14 and np.abs(rest.first_piola).max() < 1e-14
    mu, lame = law.shear_modulus, law.bulk_modulus - 2.0 / 3.0 * law.shear_modulus
    expected = np.diag([2.0 * mu] * 3 + [mu] * 3)
    expected[:3, :3] += lame
    assert relative(stiffness_components(rest.tangent[0]), expected) < 1e-12


def test_tiny_strains_keep_their_digits() -> None:
    """The linear limit at a strain of 1e-8 with eight digits: nothing is lost to differences of numbers close to one."""
    strain = 1e-8 * np.array([[1.0, 0.4, 0.2], [0.4, -0.7, 0.1], [0.2, 0.1, 0.5]])
    for name in NAMES[:-1]:
        law = random_classical_law(name, 0)
        assert isinstance(law, IsotropicLaw) and law.bulk_modulus is not None
        mu, kappa = law.shear_modulus, law.bulk_modulus
        stress = 2.0 * mu * strain + (kappa - 2.0 / 3.0 * mu) * np.trace(strain) * np.eye(3)
        found = law.evaluate(np.eye(3)[None] + strain).first_piola[0]
        assert relative(found, stress) < 1e-7, name


def test_the_same_neo_hooke_as_the_finite_elements() -> None:
    F = random_strains(0, 20, largest=0.5)
    ours, theirs = (
        IsotropicLaw(NeoHooke(0.4225), 0.915417).evaluate(F),
        fem.laws.SplitNeoHooke(0.4225, 0.915417).evaluate(F),
    )
    assert relative(ours.energy, theirs.energy) < 1e-13
    assert relative(ours.first_piola, theirs.first_piola) < 1e-13
    assert ours.tangent is not None and theirs.tangent is not None
    assert relative(ours.tangent, theirs.tangent) < 1e-12


def test_the_same_saint_venant_kirchhoff_without_third_order() -> None:
    F = random_strains(1, 20)
    ours = ThirdOrderElasticity.cubic(165.7, 63.9, 79.6, 0, 0, 0, 0, 0, 0).evaluate(F)
    theirs = fem.laws.SaintVenantKirchhoff.cubic(165.7, 63.9, 79.6).evaluate(F)
    assert ours.tangent is not None and theirs.tangent is not None
    assert relative(ours.energy, theirs.energy) < 1e-13 and relative(ours.tangent, theirs.tangent) < 1e-13


def test_ogden_holds_the_laws_of_invariants() -> None:
    F = random_strains(2, 10, largest=0.5)
    ogden, mooney = IsotropicLaw(Ogden((0.6, -0.2), (2.0, -2.0)), 5.0), IsotropicLaw(MooneyRivlin(0.3, 0.1), 5.0)
    assert relative(ogden.evaluate(F).first_piola, mooney.evaluate(F).first_piola) < 1e-14
    many_chains = IsotropicLaw(ArrudaBoyce(0.4, 1e6), 5.0).evaluate(F).first_piola
    assert relative(many_chains, IsotropicLaw(NeoHooke(0.4), 5.0).evaluate(F).first_piola) < 1e-5


def test_third_order_elasticity_has_the_crystals_symmetry() -> None:
    law, F = random_classical_law("third order", 3), random_strains(3, 3)
    for R in PointGroup.named("m-3m").rotations:
        assert relative(law.evaluate(F @ R.T).energy, law.evaluate(F).energy) < 1e-12


def test_inverse_langevin() -> None:
    # L(1) = coth 1 - 1, L(10) = coth 10 - 1/10
    beta, slope = inverse_langevin(np.array([0.31303528549933130, 0.90000000412230724]))
    assert np.allclose(beta, [1.0, 10.0], rtol=1e-12)
    h = 1e-6
    beyond, _ = inverse_langevin(np.array([0.3130352854993313 + h, 0.9000000041223072 + h]))
    assert np.allclose((beyond - beta) / h, slope, rtol=1e-4)


@pytest.mark.parametrize("potential", [Gent(0.3, 3.0), ArrudaBoyce(0.3, 2.0)])
def test_locking_is_refused_as_a_solver_understands_it(potential: Gent | ArrudaBoyce) -> None:
    stretched = np.array([np.eye(3), np.diag([2.4, 2.4**-0.5, 2.4**-0.5])])
    with pytest.raises(BeyondLocking, match=r"at point 1, expected less than 3, where the chains"):
        IsotropicLaw(potential, 10.0).evaluate(stretched)
    assert issubclass(BeyondLocking, InadmissibleDeformation)
    assert np.isfinite(IsotropicLaw(potential, 10.0).evaluate(stretched[:1]).energy).all()


def test_an_incompressible_law_keeps_its_volume() -> None:
    law = IsotropicLaw(NeoHooke(1.0))
    stretch = np.diag([4.0, 0.5, 0.5])[None]
    assert np.isclose(law.evaluate(stretch).energy[0], 0.5 * (16.0 + 0.5 - 3.0), rtol=1e-14)
    with pytest.raises(VolumeChange, match=r"ln det F = .* at point 0, expected 0: the law is incompressible"):
        law.evaluate(1.01 * stretch)


def test_collapse_and_expansion_stay_finite() -> None:
    for name in NAMES[:-1]:
        law = random_classical_law(name, 1)
        J = np.concatenate([np.geomspace(1e-3, 1.0, 20), np.geomspace(1.0, 1e2, 20)])
        response = law.evaluate(np.cbrt(J)[:, None, None] * np.eye(3))
        assert response.tangent is not None and np.isfinite(response.tangent).all()
        assert (np.diff(response.energy[:20]) < 0.0).all() and (np.diff(response.energy[20:]) > 0.0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ogden((1.0,), (2.0, 3.0)), "expected as many of both"),
        (lambda: Ogden((1.0,), (0.0,)), "no alpha of zero"),
        (lambda: Gent(1.0, -1.0), "jm is -1.0"),
        (lambda: ArrudaBoyce(1.0, 1.0), "n is 1.0"),
        (lambda: NeoHooke(float("nan")), "mu is nan, expected finite"),
        (lambda: IsotropicLaw(NeoHooke(1.0), -2.0), "bulk_modulus is -2.0"),
        (lambda: ThirdOrderElasticity(np.eye(6), np.arange(216.0).reshape(6, 6, 6)), "expected full symmetry"),
        (lambda: ThirdOrderElasticity(np.eye(3), np.zeros((6, 6, 6))), r"shape \(3, 3\)"),
    ],
)
def test_refusals(make: object, message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        make()  # type: ignore[operator]
