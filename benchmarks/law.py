"""What a law costs a point, energy, stress and tangent, double precision, one thread.

    law_us_per_point             the default cubic law (12 neurons, 288 images) as a C function, 1e5 points, arrays given
    law_stress_only_us_per_point the same without the tangent
    law_trust_us_per_point       the same with trust besides
    law_orientation_us_per_point the same with an orientation at every point
    law_evaluate_us_per_point    the same through law.evaluate, which makes the arrays
    law_numpy_us_per_point       the path without a compiler
    law_torch_us_per_point       its closed form in batched torch, 512 points at a time
    law_autodiff_us_per_point    its energy in torch, torch.func.vmap(jacfwd(grad)) on F, 500 points at a time
    law_over_autodiff            ratio of the last to the first
    neohooke_c_us_per_point      neo-Hooke written by hand in C
    law_worst_laue_us_per_point  the dearest of all kinds of law of all Laue classes, 12 neurons
    law_<kind>_us_per_point      the dearest class of a kind: orbit, invariant, polyconvex; isotropic laws of both kinds; of temperature
                                 (cubic, a quadratic in T); classical (Ogden's law with three terms)
    law_memory_mib               what law.evaluate of 2e6 points takes besides input and output, at the peak

Times are CPU time of one thread: on an idle machine that is the wall time. The candidates take turns; the best of the rounds counts.
Weights are random: a fitted law costs the same. No torch law has the growth term, which vanishes at these states.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from atomistic.compiler import built_library
from fem.c_function import CFunction
from multiscale.classical import IsotropicLaw, Ogden
from multiscale.laws.invariant_network import InvariantLaw
from multiscale.laws.kernel import library, parameter_block
from multiscale.laws.network_terms import NetworkTerms
from multiscale.laws.orbit_network import OrbitLaw
from multiscale.laws.polyconvex_network import PolyconvexLaw
from multiscale.laws.strain import COLUMNS, ROWS, SHEAR_DOUBLING, VOIGT, green_lagrange, stress_components
from multiscale.sampling.design import strain_design
from multiscale.symmetry.invariants import invariants_of
from multiscale.symmetry.material_symmetry import InfiniteGroup, MaterialSymmetry
from multiscale.symmetry.point_group import GENERATORS, PointGroup
from multiscale.trust.domain import Domain

POINTS, ROUNDS, NEURONS = 100_000, 7, 12
FEW = 2_000
"""Points of the slow candidates."""

Candidate = tuple[Callable[[], object], int]


def measure() -> dict[str, float]:
    """All numbers."""
    torch.set_num_threads(1)
    F = strain_design(POINTS, 0.06, seed=0)
    out = Arrays(POINTS)
    group = PointGroup.named("m-3m")
    cubic = replace(orbit_law(group), domain=Domain(green_lagrange(F[:40]), group))
    turns = np.ascontiguousarray(np.broadcast_to(np.eye(3).ravel(), (POINTS, 9)))
    candidates: dict[str, Candidate] = {
        "law_us_per_point": (lambda: out.fill(cubic.c_function(), F), POINTS),
        "law_stress_only_us_per_point": (lambda: cubic.c_function().call(F, energy=out.W, first_piola=out.P), POINTS),
        "law_trust_us_per_point": (lambda: out.fill(cubic.c_function(), F, trust=True), POINTS),
        "law_orientation_us_per_point": (lambda: out.fill(cubic.c_function(), F, turns), POINTS),
        "law_evaluate_us_per_point": (lambda: cubic.evaluate(F), POINTS),
        "law_numpy_us_per_point": (lambda: cubic.terms.evaluate(F[: 10 * FEW], tangent=True), 10 * FEW),
        "law_torch_us_per_point": (closed_form(cubic.terms, F[: 10 * FEW]), 10 * FEW),
        "law_autodiff_us_per_point": (autodiff(cubic.terms, F[:FEW]), FEW),
        "neohooke_c_us_per_point": (lambda: out.fill(neo_hooke(), F), POINTS),
    }
    best = fastest(candidates)
    best["law_over_autodiff"] = best["law_autodiff_us_per_point"] / best["law_us_per_point"]
    return best | dearest(F[:20_000]) | {"law_memory_mib": memory()}


class Arrays:
    """What a law fills."""

    def __init__(self, points: int) -> None:
        self.W, self.P, self.A = np.zeros(points), np.zeros((points, 3, 3)), np.zeros((points, 3, 3, 3, 3))
        self.trust = np.zeros(points)

    def fill(self, function: CFunction, F: np.ndarray, state: np.ndarray | None = None, *, trust: bool = False) -> None:
        known = self.trust if trust else None
        point = function.call(F, state, energy=self.W, first_piola=self.P, tangent=self.A, trust=known)
        if point >= 0:
            raise RuntimeError(f"a law refuses point {point}")


def fastest(candidates: dict[str, Candidate]) -> dict[str, float]:
    """Microseconds a point, the best of the rounds."""
    for run, _ in candidates.values():
        run()  # compiles, and touches the memory
    best = dict.fromkeys(candidates, np.inf)
    for _ in range(ROUNDS):
        for name, (run, points) in candidates.items():
            start = time.thread_time()
            run()
            best[name] = min(best[name], 1e6 * (time.thread_time() - start) / points)
    return best


def dearest(F: np.ndarray) -> dict[str, float]:
    """Of every kind the class that costs most."""
    out = Arrays(len(F))
    makers = {"orbit": orbit_law, "invariant": invariant_law, "polyconvex": polyconvex_law}
    laws = {f"{kind} {laue}": make(PointGroup.named(laue)) for kind, make in makers.items() for laue in GENERATORS}
    isotropic = InfiniteGroup("isotropic")
    laws |= {"isotropic 1": invariant_law(isotropic), "isotropic 2": polyconvex_law(isotropic)}
    laws["classical"] = IsotropicLaw(Ogden((0.6, 0.01, -0.01), (1.3, 5.0, -2.0)), bulk_modulus=100.0)
    candidates = {name: (partial(out.fill, law.c_function(), F), len(F)) for name, law in laws.items()}
    # a law of temperature costs the same whatever its coefficients are
    thermal = library.compiled(3 * [laws["orbit m-3m"].terms], None, parameter_block.Temperature(300.0, 600.0))
    state = np.concatenate([np.tile(np.eye(3).ravel(), (len(F), 1)), np.full((len(F), 1), 300.0)], axis=1)
    candidates["thermal"] = (lambda: out.fill(thermal, F, state), len(F))
    times = fastest(candidates)
    kinds = (*makers, "isotropic", "classical", "thermal")
    numbers = {
        f"law_{kind}_us_per_point": max(t for name, t in times.items() if name.split()[0] == kind) for kind in kinds
    }
    return numbers | {"law_worst_laue_us_per_point": max(times.values())}


def random_network(count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "weights": rng.normal(size=(NEURONS, count)) * 30.0,
        "biases": rng.normal(size=NEURONS),
        "amplitudes": rng.uniform(0.1, 0.2, size=NEURONS),
    }


def silicon_like(symmetry: MaterialSymmetry) -> np.ndarray:
    constants = np.diag([75.0, 75.0, 75.0, 56.0, 56.0, 56.0])
    constants[:3, :3] += 76.0
    return symmetry.project_stiffness(constants)


def orbit_law(symmetry: PointGroup) -> OrbitLaw:
    return OrbitLaw(
        symmetry, **random_network(6, 0), constants=silicon_like(symmetry), growth_modulus=500.0, growth_threshold=0.7
    )


def invariant_law(symmetry: MaterialSymmetry) -> InvariantLaw:
    m = len(invariants_of(symmetry).orders)
    return InvariantLaw(symmetry, **random_network(m, 1), skip=np.ones(m), constants=silicon_like(symmetry))


def polyconvex_law(symmetry: MaterialSymmetry) -> PolyconvexLaw:
    network = random_network(13, 2)
    L = np.random.default_rng(3).normal(size=(NEURONS, 2, 3, 3)) if isinstance(symmetry, PointGroup) else np.eye(3)
    tensors = stress_components(np.broadcast_to(L @ np.swapaxes(L, -1, -2), (NEURONS, 2, 3, 3)))
    network["weights"][:, :12] = tensors.reshape(NEURONS, 12)
    return PolyconvexLaw(symmetry, **network, skip=np.zeros(13), bulk=5.0)


def neo_hooke() -> CFunction:
    source = Path(__file__).with_name("neo_hooke.c").read_text()
    return CFunction(built_library("neo_hooke", source), np.array([60.0, 70.0]))


def closed_form(terms: NetworkTerms, F: np.ndarray) -> Callable[[], None]:
    """S = dW/de, D = d2W/de2 and the chain rule to A as dense products, as multiscale.laws.network_terms in numpy."""
    u, b, v = (torch.tensor(x) for x in (terms.weights, terms.biases, terms.amplitudes))
    linear, quadratic = torch.tensor(terms.linear), torch.tensor(terms.quadratic)
    squares, voigt = (u[:, :, None] * u[:, None, :]).reshape(-1, 36), torch.tensor(VOIGT)
    doubling, I = torch.tensor(SHEAR_DOUBLING), torch.eye(3, dtype=torch.float64)  # noqa: E741

    def run() -> None:
        for f in torch.tensor(F).split(512):
            H = f - I
            e = (0.5 * (H + H.mT + H.mT @ H))[:, ROWS, COLUMNS] * doubling
            z = e @ u.T + b
            slope, bent = torch.sigmoid(z), e @ quadratic
            _W = terms.constant + e @ linear + 0.5 * (e * bent).sum(1) + torch.logaddexp(z, torch.zeros(())) @ v
            S = (linear + bent + (slope * v) @ u)[:, voigt]
            D = ((slope * (1.0 - slope) * v) @ squares).reshape(-1, 6, 6) + quadratic
            _P = f @ S
            n = len(f)
            half = (f @ D[:, voigt][:, :, :, voigt].reshape(n, 3, 27)).reshape(n, 3, 3, 3, 3)
            A = (f @ half.permute(0, 3, 1, 2, 4).reshape(n, 3, 27)).reshape(n, 3, 3, 3, 3).permute(0, 2, 3, 1, 4)
            _A = A + I[:, None, :, None] * S[:, None, :, None, :]

    return run


def torch_response(terms: NetworkTerms) -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    """W, P and A of a batch of F: the energy written down, everything else left to torch."""
    u, b, v = (torch.tensor(x) for x in (terms.weights, terms.biases, terms.amplitudes))
    linear, quadratic = torch.tensor(terms.linear), torch.tensor(terms.quadratic)
    doubling, I = torch.tensor(SHEAR_DOUBLING), torch.eye(3, dtype=torch.float64)  # noqa: E741

    def energy(f: torch.Tensor) -> torch.Tensor:
        e = (0.5 * (f.T @ f - I))[ROWS, COLUMNS] * doubling
        z = u @ e + b
        return terms.constant + linear @ e + 0.5 * e @ quadratic @ e + v @ torch.logaddexp(z, torch.zeros_like(z))

    stress = torch.func.grad(energy)
    return torch.func.vmap(lambda f: (energy(f), stress(f), torch.func.jacfwd(stress)(f)))


def autodiff(terms: NetworkTerms, F: np.ndarray) -> Callable[[], None]:
    """`torch_response` of all points, 500 at a time."""
    respond = torch_response(terms)

    def run() -> None:
        for f in torch.tensor(F).split(500):
            respond(f)

    return run


MEMORY = """
import resource, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from law import orbit_law
from multiscale.symmetry.point_group import PointGroup
law = orbit_law(PointGroup.named("m-3m"))
law.evaluate(np.tile(np.eye(3), (1000, 1, 1)), trust=True)
F = np.tile(np.diag([1.01, 1.0, 0.99]), (2_000_000, 1, 1))
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
answer = law.evaluate(F)
after = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
results = answer.energy.nbytes + answer.first_piola.nbytes + answer.tangent.nbytes
print((after - before - results) / 2**20)
"""


def memory() -> float:
    """Peak of the resident memory less what was resident before the call and the results, in MiB; in a process of its own."""
    command = [sys.executable, "-c", MEMORY, str(Path(__file__).parent)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
