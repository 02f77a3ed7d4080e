"""Excited states: an intersection learned from adiabatic energies and gradients, and trajectories that hop between learned surfaces.

    python examples/excited_states.py [--points 300] [--trajectories 400] [--momenta 10 18 28] [--seed 0] [--picture excited_states.png]

First the model of linear vibronic coupling, whose intersection is known. A diabatic network sees energies and gradients
of both surfaces at random points, no phase and no coupling: where does it put the intersection, what sign does a state
bring back from a loop around it, and how far are surfaces that are fitted one by one off near it? Then Tully's three
problems: networks learned from energies, gradients and couplings drive surface hopping beside the exact Hamiltonians,
and a quantum wave packet says how good hopping is.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

from atomistic.excited import (
    AdiabaticLabels,
    Hamiltonian,
    adiabatic_states,
    conical_intersection,
    fit_diabatic,
    geometric_phase,
    propagate,
    start_on,
    surface_hopping,
    transported,
)
from atomistic.excited.models import TULLY, TULLY_MASS, LinearVibronicCoupling

CONE = LinearVibronicCoupling()
BLUE, RED, GREY = "#4477aa", "#ee6677", "#777777"
START, REGION = -8.0, 9.0


def labels_of(hamiltonian: Hamiltonian, points: np.ndarray, *, couplings: bool = False) -> AdiabaticLabels:
    """What a calculation of electronic structure would give."""
    states = adiabatic_states(hamiltonian, points)
    return AdiabaticLabels(points, states.energies, states.gradients, states.interstate if couplings else None)


def circle(centre: np.ndarray, radius: float, count: int = 90) -> np.ndarray:
    """Points of a loop."""
    angle = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def the_cone(points: int, seed: int, axes: tuple[Axes, Axes]) -> None:
    """Learn the cone, and both surfaces without it."""
    R = np.random.default_rng(seed).uniform(-1.5, 1.5, (points, 2))
    labels = labels_of(CONE, R)
    fit = fit_diabatic(labels, seed=seed)
    direct = [
        fit_diabatic(
            AdiabaticLabels(R, labels.energies[:, k : k + 1], labels.gradients[:, k : k + 1]), seed=seed
        ).hamiltonian
        for k in range(2)
    ]
    exact = np.array(CONE.intersection)
    found = conical_intersection(fit.hamiltonian, np.array([0.4, 0.3]))
    off = float(np.linalg.norm(found.point - exact))
    around, beside = (
        geometric_phase(fit.hamiltonian, circle(found.point + shift, 0.3)) for shift in ((0.0, 0.0), (0.9, 0.0))
    )
    print(f"intersection at ({found.point[0]:.5f}, {found.point[1]:.5f}), off by {off:.1e}; gap {found.gap:.0e}")
    print(f"phase of both states around it {around.tolist()}, beside it {beside.tolist()}")
    assert off < 1e-3
    assert around.tolist() == [-1, -1] and beside.tolist() == [1, 1]

    step, away = 1e-5, circle(found.point, 0.4, 12)
    here = adiabatic_states(fit.hamiltonian, away)
    worst = 0.0
    for d in range(2):
        ends = []
        for sign in (1.0, -1.0):
            other = adiabatic_states(fit.hamiltonian, away + sign * step * np.eye(2)[d]).vectors
            ends.append(other * np.sign(np.einsum("pki,pki->pi", other, here.vectors))[:, None])
        differences = np.einsum("pk,pk->p", here.vectors[:, :, 0], (ends[0] - ends[1])[:, :, 1] / (2.0 * step))
        worst = max(worst, float(np.abs(here.couplings()[:, 0, 1, d] - differences).max()))
    print(f"couplings against differences of the states: {worst:.1e}")
    assert worst < 1e-6

    radii = np.geomspace(0.003, 0.8, 14)
    errors = []
    for radius in radii:
        ring = circle(exact, radius, 40)
        truth = adiabatic_states(CONE, ring).energies
        one_by_one = np.stack([adiabatic_states(surface, ring).energies[:, 0] for surface in direct], axis=1)
        errors.append(
            [np.sqrt(np.mean((e - truth) ** 2)) for e in (adiabatic_states(fit.hamiltonian, ring).energies, one_by_one)]
        )
    errors_ = np.array(errors)
    print(
        f"energy errors at {radii[0]:.3f} from the cone: diabatic {errors_[0, 0]:.1e}, surfaces one by one {errors_[0, 1]:.1e}"
    )
    assert errors_[0, 1] > 20.0 * errors_[0, 0]

    x = np.linspace(-1.0, 0.0, 300)
    line = np.stack([x, np.zeros_like(x)], axis=1)
    for k, name in ((0, "exact"), (1, None)):
        axes[0].plot(x, adiabatic_states(CONE, line).energies[:, k], color=GREY, lw=4, alpha=0.4, label=name)
    for k in range(2):
        axes[0].plot(
            x,
            adiabatic_states(fit.hamiltonian, line).energies[:, k],
            color=BLUE,
            lw=1.5,
            label="diabatic network" if k else None,
        )
        axes[0].plot(
            x,
            adiabatic_states(direct[k], line).energies[:, 0],
            "--",
            color=RED,
            lw=1.5,
            label="one by one" if k else None,
        )
    axes[0].set(xlabel="tuning mode x (y = 0)", ylabel="energy", title="Through the intersection")
    axes[0].legend(frameon=False)
    axes[1].loglog(radii, errors_[:, 0], "o-", color=BLUE, label="diabatic network")
    axes[1].loglog(radii, errors_[:, 1], "s--", color=RED, label="surfaces one by one")
    axes[1].set(
        xlabel="distance from the intersection", ylabel="error of the energies (RMS)", title="Near the intersection"
    )
    axes[1].legend(frameon=False)


def tully(momenta: list[float], trajectories: int, seed: int, axes: list[Axes]) -> None:
    """Transmission and reflection by hopping on exact and learned surfaces, and by a wave packet."""
    x = np.unique(np.concatenate([np.linspace(-12.0, 12.0, 61), np.linspace(-7.0, 5.0, 97)]))[:, None]
    for panel, (name, model) in zip(axes, TULLY.items(), strict=True):
        labels = labels_of(model, x, couplings=True)
        learned = fit_diabatic(labels, seed=seed, hidden=(16, 16), guess=transported(labels), starts=1).hamiltonian
        print(f"{name}: share transmitted on the lower, on the upper state, reflected")
        table = []
        for momentum in momenta:
            velocity = momentum / TULLY_MASS
            # behind the extended coupling all is faster than it came
            after = np.sqrt(velocity**2 + 2.0 * 0.2 / TULLY_MASS) if name.startswith("extended") else velocity
            shares = []
            for hamiltonian in (model, learned):
                swarm = start_on(
                    hamiltonian, 0, np.full((trajectories, 1), START), np.full((trajectories, 1), velocity)
                )
                run = surface_hopping(
                    hamiltonian,
                    swarm,
                    masses=np.array([TULLY_MASS]),
                    timestep=min(40.0 / momentum, 60.0 / (TULLY_MASS * after)),
                    steps=4000,
                    seed=seed,
                    region=REGION,
                )
                assert run.norm_drift < 1e-8
                shares.append(channels(run.channels()))
            time = -START / velocity + 20.0 / after
            packets = [
                propagate(
                    hamiltonian,
                    position=START,
                    momentum=momentum,
                    width=10.0 / momentum,
                    mass=TULLY_MASS,
                    timestep=4.0,
                    steps=int(time / 4.0),
                    edge=80.0,
                    points=4096,
                )
                for hamiltonian in (model, learned)
            ]
            shares += [channels(packet.channels) for packet in packets]
            different = np.abs(packets[0].populations - packets[1].populations).max()
            rows = " ".join(
                f"{kind} {s[0]:.3f} {s[1]:.3f} {s[2]:.3f};"
                for kind, s in zip(("exact", "learned", "quantum"), shares, strict=False)
            )
            print(f"  k = {momentum:4.1f}: {rows} quantum populations on learned surfaces off by {different:.4f}")
            error = np.sqrt(2.0 * shares[0] * (1.0 - shares[0]) / trajectories)
            assert (np.abs(shares[0] - shares[1]) <= 3.0 * error + 2.0 / trajectories).all()
            assert different < 0.02
            table.append(shares)
        values = np.array(table)
        for channel, (colour, label) in enumerate(
            ((BLUE, "lower, transmitted"), (RED, "upper, transmitted"), (GREY, "reflected"))
        ):
            panel.plot(momenta, values[:, 2, channel], "-", color=colour, lw=1.5, label=label)
            panel.plot(momenta, values[:, 0, channel], "o", mfc="none", color=colour, ms=9)
            panel.plot(momenta, values[:, 1, channel], "x", color=colour, ms=6)
        panel.set(xlabel="initial momentum (atomic units)", ylabel="share", title=f"Tully: {name}", ylim=(-0.05, 1.05))
    axes[0].plot([], [], "k-", label="wave packet")
    axes[0].plot([], [], "ko", mfc="none", label="hopping, exact")
    axes[0].plot([], [], "kx", label="hopping, learned")
    handles, names = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(handles, names, loc="outside lower center", ncols=6, frameon=False)


def channels(sides: np.ndarray) -> np.ndarray:
    """Transmitted on the lower and on the upper state, reflected on either."""
    return np.array([sides[1, 0], sides[1, 1], sides[0].sum()])


def main() -> None:
    """Everything, and the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=300, help="labels of the cone")
    parser.add_argument("--trajectories", type=int, default=400, help="of each run of surface hopping")
    parser.add_argument("--momenta", type=float, nargs="+", default=[10.0, 18.0, 28.0], help="of Tully's problems")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, default=Path("excited_states.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)  # the matrices are small
    figure = plt.figure(figsize=(13.0, 7.6), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    the_cone(options.points, options.seed, (figure.add_subplot(grid[0, :3]), figure.add_subplot(grid[0, 3:])))
    lower = [figure.add_subplot(grid[1, 2 * k : 2 * k + 2]) for k in range(3)]
    tully(options.momenta, options.trajectories, options.seed, lower)
    figure.savefig(options.picture, dpi=90)


if __name__ == "__main__":
    main()
