"""Training a neural potential as a dynamical system: the flow down the gradient, its minima and saddles, l2 as a confining potential.

python examples/training_dynamics.py [--structures 120] [--hidden 4] [--picture training_dynamics.png]
"""

import argparse
import warnings
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.stress import full_3x3_to_voigt_6_stress
from matplotlib.figure import Figure
from scipy.optimize import minimize

import atomistic
from atomistic.diagnosis import (
    Diagnosis,
    Flow,
    Landscape,
    StationaryPoint,
    classify,
    diagnose,
    escape,
    gradient_flow,
    polished,
    split_neuron,
    twin_subspace,
)
from atomistic.training_loss import Loss
from atomistic.training_objective import Objective

SETTINGS = {"radial": 4, "angular": 2, "degree": 2, "epochs": 0, "batches": 1}
STRENGTHS = (10.0, 1.0, 0.1, 0.01, 0.001)


def silicon(structures: int, seed: int) -> tuple[list[Atoms], list[Atoms]]:
    """Strained and rattled primitive cells by Stillinger-Weber: training and test."""
    reference = atomistic.reference_calculator("stillinger-weber")
    crystal = atomistic.relax_crystal(bulk("Si"), reference).atoms
    group = atomistic.ConfigurationGroup("rattled", structures + 12, 1, 1.0, 0.08, False)
    labelled = atomistic.label_configurations(crystal, reference, max_strain=0.04, seed=seed, groups=(group,))
    return labelled[:structures], labelled[structures:]


def prepared(training: list[Atoms], seed: int, **settings: object) -> tuple[atomistic.Training, Objective, Landscape]:
    """A training, its objective and its landscape."""
    chosen = atomistic.TrainingSettings(**{**SETTINGS, **settings})  # type: ignore[arg-type]
    made = atomistic.train(training, chosen, seed=seed)
    objective = made.objective()
    return made, objective, Landscape.of(objective)


def held_out(objective: Objective, theta: np.ndarray, test: list[Atoms]) -> tuple[float, float]:
    """Loss of the data (without weights) of test structures, and the root mean square error of their forces, eV/A."""
    potential, scales = objective.potential(theta, {}), objective.loss.scales
    squares = np.zeros(3)
    for atoms in test:
        said = potential.predict(atoms)
        energy = (said.energy - atoms.get_potential_energy()) / len(atoms)
        stress = full_3x3_to_voigt_6_stress(said.stress) - atoms.get_stress()
        squares += energy**2, np.mean((said.forces - atoms.get_forces()) ** 2), np.mean(stress**2)
    squares /= len(test)
    return float(np.sum(squares / np.square([scales.energy, scales.force, scales.stress]))), float(np.sqrt(squares[1]))


def flow_down(training: list[Atoms], test: list[Atoms], hidden: int, seed: int) -> tuple[Flow, Diagnosis]:
    """Training by the gradient flow, from random weights to a minimum."""
    made, objective, landscape = prepared(training, seed, hidden=(hidden,), cycles=0)
    before, before_force = held_out(objective, made.parameters, test)
    flow = gradient_flow(landscape, made.parameters, gradient_below=1e-5, relative_error=1e-5)
    found = diagnose(landscape, polished(landscape, flow.theta))
    after, after_force = held_out(objective, flow.theta, test)
    print(
        f"gradient flow: {len(flow.times) - 1} steps, {flow.gradients} gradients, {flow.hessians} Hessians, to t = {flow.times[-1]:.0f}\n"
        f"  loss {flow.losses[0]:.4g} -> {flow.losses[-1]:.6g}, rises in {int((np.diff(flow.losses) > 0.0).sum())} steps\n"
        f"  dE/dt = -|grad E|^2: (E(0) - E(t)) / dissipated - 1 at most {flow.imbalance:.1e}\n"
        f"  test structures: loss {before:.4g} -> {after:.4g}, RMSE of the forces {before_force:.3f} -> {after_force:.3f} eV/A"
    )
    print("diagnosis:\n  " + str(found).replace("\n", "\n  "))
    assert flow.ended == "stationary" and (np.diff(flow.losses) < 0.0).all() and flow.imbalance < 1e-6
    assert found.point.kind == "minimum"
    by_lanczos = classify(landscape, polished(landscape, flow.theta), dense=False)
    print(f"  by Lanczos on products with the Hessian: {by_lanczos}")
    assert (by_lanczos.kind, by_lanczos.index, by_lanczos.zero_modes) == ("minimum", 0, 0) and by_lanczos.complete
    return flow, found


def grow(training: list[Atoms], test: list[Atoms], seed: int) -> tuple[StationaryPoint, Flow]:
    """A network of one neuron with its neuron split: twins sit at a saddle, and part along its negative curvature."""
    made, objective, landscape = prepared(training, seed, hidden=(1,), cycles=0)
    settings = {"gradient_below": 1e-4, "relative_error": 1e-5}
    single = gradient_flow(landscape, made.parameters, **settings)  # type: ignore[arg-type]
    loss = objective.loss
    model, split = split_neuron(loss.model, single.theta, layer=0, neuron=0)
    wider = Landscape(Loss(loss.rows, model, loss.shift, loss.scales, 0.0).value, landscape.l2)
    basis = twin_subspace(loss.model, layer=0, neuron=0)
    tied = wider.restricted(basis)
    theta = basis @ polished(tied, gradient_flow(tied, basis.T @ split, **settings).theta)  # type: ignore[arg-type]
    saddle = classify(wider, theta)
    # What is gained first is small, and its balance is asked to 1e-6 as well
    flow = escape(wider, theta, saddle, gradient_below=1e-4, relative_error=1e-6)
    end = classify_quietly(wider, polished(wider, flow.theta))
    grown = Objective(
        objective.descriptors,
        Loss(loss.rows, model, loss.shift, loss.scales, loss.decay),
        objective.whitening,
        objective.linear,
    )
    print(
        f"twins: {saddle}\n"
        f"  most negative curvatures {', '.join(f'{h:.3g}' for h in saddle.eigenvalues[: min(3, saddle.index)])}\n"
        f"  escape along the first: loss {saddle.loss:.4g} -> {flow.losses[-1]:.4g}, on test structures "
        f"{held_out(grown, theta, test)[0]:.4g} -> {held_out(grown, flow.theta, test)[0]:.4g}\n"
        f"  arrived at: {end}"
    )
    assert saddle.kind == "saddle" and saddle.index > 0
    assert flow.losses[-1] < 0.9 * saddle.loss and (np.diff(flow.losses) < 0.0).all() and flow.imbalance < 1e-6
    return saddle, flow


def confine(training: list[Atoms], test: list[Atoms], hidden: int, seed: int) -> list[tuple[float, ...]]:
    """Fewer labels than parameters: the minimum is degenerate until l2 regularisation isolates it."""
    made, objective, landscape = prepared(training, seed, hidden=(hidden,), decay=0.0, cycles=4, iterations=1000)
    theta = polished(landscape, made.parameters)
    free = classify(landscape, theta)
    # An energy, six stresses, and forces that add up to zero
    labels = sum(1 + 6 + 3 * (len(atoms) - 1) for atoms in training)
    print(
        f"{len(training)} structures, {labels} independent labels, {len(theta)} parameters, no regularisation:\n  {free}"
    )
    assert free.kind == "degenerate minimum" and free.zero_modes == len(theta) - labels, (
        "the labels are not all met: more neurons or fewer structures (--hidden, --few) are needed"
    )
    rows = [(0.0, free.loss, free.zero_modes, float(labels), np.inf, *held_out(objective, theta, test))]
    shifts = [
        np.abs(classify_quietly(landscape.confined(s), theta).eigenvalues - free.eigenvalues - s).max()
        for s in STRENGTHS
    ]
    print(f"  the spectrum there shifts by the strength of the regularisation, to {max(shifts):.0e}")
    assert max(shifts) < 1e-10
    for strength in STRENGTHS:
        confined = landscape.confined(strength)

        def hessian(x: np.ndarray, confined: Landscape = confined) -> np.ndarray:
            return confined.point(x).hessian()

        options = {"gtol": 1e-7, "maxiter": 500, "max_trust_radius": 100.0}
        theta = minimize(confined.gradient, theta, jac=True, hess=hessian, method="trust-exact", options=options).x
        found = diagnose(confined, theta)
        gamma, _ = found.effective_parameters()
        rows.append(
            (
                strength,
                landscape.at(theta),
                found.point.zero_modes,
                gamma,
                found.condition,
                *held_out(objective, theta, test),
            )
        )
        assert found.point.kind == "minimum" and found.point.zero_modes == 0
    print(
        "  l2 strength   loss of data   zero modes   effective parameters   condition   test loss   test force RMSE (eV/A)"
    )
    for strength, loss, zero, gamma, condition, test_loss, error in rows:
        print(
            f"  {strength:11g}   {loss:12.3g}   {zero:10.0f}   {gamma:20.1f}   {condition:9.2g}   {test_loss:9.4g}   {error:22.3f}"
        )
    conditions = [row[4] for row in rows[1:]]
    assert (np.diff(conditions) > 0.0).all()
    return rows


def classify_quietly(landscape: Landscape, theta: np.ndarray) -> StationaryPoint:
    """Without a word on the slope that a confining potential makes of a minimum."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return classify(landscape, theta)


def draw(
    path: str, flow: Flow, found: Diagnosis, saddle: StationaryPoint, leaving: Flow, rows: list[tuple[float, ...]]
) -> None:
    """Fall of the loss, spectrum at the minimum, escape, confinement."""
    figure = Figure(figsize=(10.0, 7.4), layout="constrained")
    ((falls, spectrum), (leaves, confined)) = figure.subplots(2, 2)
    falls.loglog(flow.times[1:], flow.losses[1:], color="#0072B2", label="loss $E$")
    falls.loglog(flow.times[1:], flow.gradient_norms[1:] ** 2, color="#D55E00", label="$-dE/dt = |\\nabla E|^2$")
    falls.set(xlim=(1e-7, None), xlabel="time of the flow", title=f"Gradient flow: balance to {flow.imbalance:.0e}")
    falls.legend(frameon=False)
    spectrum.step(np.sort(found.curvatures)[::-1], np.arange(1, found.parameters + 1), where="post", color="#0072B2")
    spectrum.axvline(found.l2, color="#009E73", linestyle="--", label=f"l2 regularisation {found.l2:g}")
    spectrum.set(
        xscale="log",
        xlabel="curvature at the minimum",
        ylabel="number of curvatures above",
        title=f"{found.effective_parameters()[0]:.1f} of {found.parameters} parameters determined, condition {found.condition:.1e}",
    )
    spectrum.legend(frameon=False)
    gained = saddle.loss - leaving.losses
    rate = -2.0 * saddle.eigenvalues[0]
    early = np.linspace(0.0, np.log(0.3 * gained[-1] / gained[0]) / rate, 50)
    leaves.loglog(leaving.times, gained, color="#0072B2", label="$E_{saddle} - E(t)$")
    leaves.loglog(early, gained[0] * np.exp(rate * early), "--", color="#D55E00", label="$\\propto e^{2|h_1|t}$")
    leaves.set(xlim=(0.05 * early[-1], None), xlabel="time since the saddle", ylabel="loss gained")
    leaves.set(title=f"Escape from a saddle of index {saddle.index}")
    leaves.legend(frameon=False, loc="lower right")
    strengths = [row[0] for row in rows[1:]]
    confined.loglog(strengths, [row[4] for row in rows[1:]], "o-", color="#0072B2", label="condition")
    confined.set(
        xlabel="strength of l2 regularisation",
        ylabel="condition",
        title=f"{rows[0][2]:.0f} zero modes without, none with it",
    )
    errors = confined.twinx()
    errors.semilogx(strengths, [row[6] for row in rows[1:]], "s-", color="#CC79A7", label="test error")
    errors.axhline(rows[0][6], color="#CC79A7", linestyle=":", label="test error without")
    errors.set(ylabel="RMSE of the forces (eV/Å)", ylim=(0.0, None))
    handles = [*confined.get_lines(), *errors.get_lines()]
    errors.legend(handles, [handle.get_label() for handle in handles], frameon=False, loc="lower left")
    figure.savefig(path, dpi=100)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print, assert, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=120, help="to train on")
    parser.add_argument("--hidden", type=int, default=4, help="neurons")
    parser.add_argument("--few", type=int, default=3, help="structures where the minimum is to be degenerate")
    parser.add_argument("--seed", type=int, default=0, help="of structures and weights")
    parser.add_argument("--picture", default="training_dynamics.png", help="where to draw")
    parser.add_argument("--spectrum", default="training_spectrum.png", help="where to draw the diagnosis by itself")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", atomistic.ScarceElement)
    training, test = silicon(options.structures, options.seed)
    flow, found = flow_down(training, test, options.hidden, options.seed)
    found.plot(options.spectrum)
    saddle, leaving = grow(training, test, options.seed)
    rows = confine(training[: options.few], test, options.hidden, options.seed)
    draw(options.picture, flow, found, saddle, leaving, rows)


if __name__ == "__main__":
    main()
