"""The classical laws against differences, rotations, linear elasticity and each other."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from fem import InadmissibleDeformation, Law, ShapeError, check_deformation_gradient
from fem.law import AsymmetricTangent, Response, check_response
from fem.laws import NeoHooke, SaintVenantKirchhoff, SplitNeoHooke

LAWS: dict[str, Law] = {
    "neo-Hooke": NeoHooke(1.0, 1.5),
    "split, simo": SplitNeoHooke(1.0, 2.0, "simo"),
    "split, logarithmic": SplitNeoHooke(1.0, 2.0, "logarithmic"),
    "split, quadratic": SplitNeoHooke(1.0, 2.0, "quadratic"),
    "cubic": SaintVenantKirchhoff.cubic(1.657, 0.639, 0.796),
}
ISOTROPIC = [name for name in LAWS if name != "cubic"]

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
seeds = st.integers(0, 2**32 - 1)


def random_gradients(seed: int, count: int, size: float = 0.3) -> np.ndarray:
    F = np.eye(3) + np.random.default_rng(seed).uniform(-size, size, (4 * count, 3, 3))
    return F[np.linalg.det(F) > 0.2][:count]


@every_law
def test_stress_and_tangent_are_derivatives(law: Law) -> None:
    F, h = random_gradients(0, 40), 1e-5
    response = law.evaluate(F)
    P, A = np.empty_like(F), np.empty((*F.shape, 3, 3))
    for k in range(3):
        for L in range(3):
            step = np.zeros((3, 3))
            step[k, L] = h
            ahead, behind = law.evaluate(F + step), law.evaluate(F - step)
            P[:, k, L] = (ahead.energy - behind.energy) / (2 * h)
            A[..., k, L] = (ahead.first_piola - behind.first_piola) / (2 * h)
    assert np.abs(P - response.first_piola).max() <= 1e-7 * np.abs(P).max()
    assert np.abs(A - response.tangent).max() <= 1e-7 * np.abs(A).max()


@every_law
@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_objectivity(law: Law, seed: int) -> None:
    F = random_gradients(seed, 5)
    Q = Rotation.random(random_state=seed % 2**31).as_matrix()
    still, turned = law.evaluate(F), law.evaluate(Q @ F)
    scale = np.abs(still.tangent).max()
    assert np.abs(turned.energy - still.energy).max() <= 1e-12 * scale
    assert np.abs(turned.first_piola - Q @ still.first_piola).max() <= 1e-12 * scale
    expected = np.einsum("ij,njJkL,lk->niJlL", Q, still.tangent, Q)
    assert np.abs(turned.tangent - expected).max() <= 1e-12 * scale


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_the_24_rotations_of_the_cube(seed: int) -> None:
    law = LAWS["cubic"]
    F = random_gradients(seed, 5)
    still = law.evaluate(F)
    for R in Rotation.create_group("O").as_matrix():
        turned = law.evaluate(F @ R.T)
        assert np.abs(turned.energy - still.energy).max() <= 1e-12 * np.abs(still.tangent).max()
        assert np.abs(turned.first_piola - still.first_piola @ R.T).max() <= 1e-12 * np.abs(still.tangent).max()


@every_law
@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9])
def test_small_strains_keep_their_digits(law: Law, size: float) -> None:
    # both sides are exact to second and third order: what is left has to be that, not lost digits
    H = size * np.random.default_rng(1).uniform(-1, 1, (20, 3, 3))
    H = (np.eye(3) + H) - np.eye(3)  # the H which F can hold
    response, reference = law.evaluate(np.eye(3) + H), law.evaluate(np.eye(3)[None])
    assert reference.energy == 0.0
    assert np.all(reference.first_piola == 0.0)
    P = np.einsum("iJkL,nkL->niJ", reference.tangent[0], H)
    W = 0.5 * np.einsum("niJ,niJ->n", P, H)
    assert np.abs(response.first_piola - P).max() <= (10 * size + 1e-14) * np.abs(P).max()
    assert np.abs(response.energy - W).max() <= (10 * size + 1e-14) * np.abs(W).max()


@pytest.mark.parametrize("name", ISOTROPIC)
def test_linear_limit_is_isotropic_elasticity(name: str) -> None:
    law = LAWS[name]
    lmbda = law.lmbda if isinstance(law, NeoHooke) else law.kappa - 2.0 / 3.0 * law.mu  # type: ignore[attr-defined]
    mu = law.mu  # type: ignore[attr-defined]
    d = np.eye(3)
    expected = lmbda * np.einsum("iJ,kL->iJkL", d, d) + mu * (
        np.einsum("ik,JL->iJkL", d, d) + np.einsum("iL,Jk->iJkL", d, d)
    )
    assert np.allclose(law.evaluate(d[None]).tangent[0], expected, atol=1e-14)


def test_cubic_elastic_constants_give_published_young_moduli() -> None:
    # copper, Gpa: E along [100], [110], [111] by uniaxial stress of the linear law
    law = SaintVenantKirchhoff.cubic(168.4, 121.4, 75.4)
    A = law.evaluate(np.eye(3)[None]).tangent[0]
    stiffness = np.array([[A[0, 0, 0, 0], A[0, 0, 1, 1]], [A[0, 0, 1, 1], A[0, 0, 0, 0]]])
    c11, c12, c44 = stiffness[0, 0], stiffness[0, 1], A[0, 1, 0, 1]
    s11 = (c11 + c12) / ((c11 - c12) * (c11 + 2 * c12))
    s12 = -c12 / ((c11 - c12) * (c11 + 2 * c12))
    for share, young in ((0.0, 66.69), (0.25, 130.34), (1.0 / 3.0, 191.15)):
        assert 1.0 / (s11 - 2.0 * (s11 - s12 - 0.5 / c44) * share) == pytest.approx(young, abs=0.01)


@every_law
def test_tangent_only_when_asked(law: Law) -> None:
    F = random_gradients(2, 3)
    assert law.evaluate(F, tangent=False).tangent is None
    assert isinstance(law, Law)


@pytest.mark.parametrize(
    ("F", "message"),
    [
        (np.zeros((4, 2, 2)), r"F has shape \(4, 2, 2\), expected \(n, 3, 3\)"),
        (np.eye(3), r"F has shape \(3, 3\), expected \(n, 3, 3\)"),
    ],
)
def test_wrong_shape(F: np.ndarray, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        check_deformation_gradient(F)


def test_inadmissible_deformation_names_the_point() -> None:
    F = np.tile(np.eye(3), (5, 1, 1))
    F[3, 0, 0] = -0.2
    with pytest.raises(InadmissibleDeformation, match=r"det F = -0.2 at point 3, expected det F > 0") as caught:
        NeoHooke(1.0, 1.0).evaluate(F)
    assert (caught.value.point, caught.value.determinant) == (3, pytest.approx(-0.2))
    F[1, 2, 0] = np.nan
    with pytest.raises(InadmissibleDeformation, match="F is not finite at point 1"):
        NeoHooke(1.0, 1.0).evaluate(F)
    with pytest.raises(InadmissibleDeformation):
        check_deformation_gradient(np.zeros((1, 3, 3)))


def test_deformation_gradient_is_made_contiguous_float64() -> None:
    F = np.eye(3, dtype=np.float32)[None].repeat(2, 0).transpose(0, 2, 1)
    checked = check_deformation_gradient(F)
    assert checked.dtype == np.float64
    assert checked.flags.c_contiguous


@pytest.mark.parametrize(
    "make",
    [
        lambda: NeoHooke(-1.0, 1.0),
        lambda: NeoHooke(1.0, -1.0),
        lambda: NeoHooke.from_young(1.0, 0.5),
        lambda: NeoHooke.from_young(float("nan"), 0.3),
        lambda: SplitNeoHooke(1.0, 0.0),
        lambda: SplitNeoHooke(1.0, 1.0, "cubic"),  # type: ignore[arg-type]
        lambda: SaintVenantKirchhoff(np.eye(5)),
        lambda: SaintVenantKirchhoff(-np.eye(6)),
        lambda: SaintVenantKirchhoff(np.arange(36.0).reshape(6, 6)),
    ],
)
def test_impossible_parameters(make: object) -> None:
    with pytest.raises(ValueError, match=r"expected"):
        make()  # type: ignore[operator]


def test_response_is_checked() -> None:
    right = NeoHooke(1.0, 1.0).evaluate(random_gradients(3, 4))
    assert check_response(right, 4, tangent=True) is right
    with pytest.raises(ShapeError, match=r"energy of shape \(4,\), expected \(5,\)"):
        check_response(right, 5, tangent=True)
    with pytest.raises(ShapeError, match=r"tangent of shape None, expected \(4, 3, 3, 3, 3\)"):
        check_response(Response(right.energy, right.first_piola, None), 4, tangent=True)
    crooked = right.tangent + 0.01 * np.random.default_rng(0).normal(size=right.tangent.shape)  # type: ignore[operator]
    with pytest.raises(AsymmetricTangent, match="differs from its transpose"):
        check_response(Response(right.energy, right.first_piola, crooked), 4, tangent=True)


def test_laws_load_without_dolfinx() -> None:
    code = "import sys, fem, fem.laws; fem.laws.NeoHooke(1, 1); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "fem.laws.neo_hooke" in loaded
    assert not {"dolfinx", "mpi4py", "petsc4py"} & set(loaded)


def test_unknown_name_of_the_package() -> None:
    import fem

    with pytest.raises(AttributeError, match="Liquid"):
        fem.Liquid  # noqa: B018
    assert "Solid" in dir(fem)
