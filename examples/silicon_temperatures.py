"""The free energy psi(F, T) of Stillinger-Weber silicon from virials of molecular dynamics at 0, 300 and 600 K.

Elastic constants and lattice constant at any temperature, with error bars from those of the virials, beside what other simulations say
directly: cells at zero pressure, and differences of the mean stress about them; at 450 K, too, which the fit has never seen.

python examples/silicon_temperatures.py [picture.png]
"""

import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

import multiscale

FOLDER = Path(__file__).parent / "data" / "silicon_temperatures"
NAMES = ("C11", "C12", "C44")
MEASURED = {"C11": 165.7, "C12": 63.9, "C44": 79.6}  # GPa, silicon itself at room temperature

data = [multiscale.StressStrainData.read(FOLDER / f"silicon_{T}K.h5") for T in (0, 300, 600)]
direct = json.loads((FOLDER / "direct.json").read_text())
edge = np.cbrt(4.0 * abs(np.linalg.det(data[0].crystal["cell"])))  # of the cubic cell at 0 K, A

law = multiscale.fit_thermal(data, multiscale.PointGroup.named("m-3m"), seed=0)
print(law.provenance["fit"])


def figures(law: multiscale.ThermalLaw, temperature: float) -> np.ndarray:
    """C11, C12, C44 (GPa), lattice constant (A) and thermal expansion (1e-6/K) of the crystal free of stress."""
    C = multiscale.elastic_constants_at(law, temperature)
    stretch = multiscale.free_stretch(law, temperature)[0, 0]
    alpha = multiscale.thermal_expansion(law, temperature)[0, 0]
    return np.array([C[0, 0], C[0, 1], C[3, 3], edge * stretch, 1e6 * alpha])


temperatures = (0, 300, 450, 600)
value = {T: figures(law, T) for T in temperatures}
every_error = multiscale.standard_error(law, lambda one: np.array([figures(one, T) for T in temperatures]))
error = dict(zip(temperatures, every_error, strict=True))

print("\n                      law               direct")
deviations = []
for T in temperatures:
    for k, name in enumerate((*NAMES, "lattice_constant")):
        line = f"{T:4d} K {name.replace('_', ' '):17s}{value[T][k]:9.4f} +- {error[T][k]:.4f}"
        if str(T) in direct:
            mean, bar = direct[str(T)][name]
            deviations.append((value[T][k] - mean) / np.hypot(error[T][k], bar))
            line += f"{mean:11.4f} +- {bar:.4f}   off by {deviations[-1]:4.1f} standard errors"
        print(line)
    print(f"{T:4d} K thermal expansion{value[T][4]:7.3f} +- {error[T][4]:.3f} 1e-6/K")

unseen = multiscale.StressStrainData.read(FOLDER / "silicon_450K.h5")
response = law.evaluate(unseen.deformation_gradient, {"temperature": np.full(len(unseen), 450.0)}, trust=True)
miss = multiscale.normalised_mse(response.first_piola, unseen.first_piola)
print(f"\nstress of {len(unseen)} states at 450 K, which the fit has not seen: normalised mean square error {miss:.2g}")
print(f"measured silicon, 300 K: {MEASURED} GPa; Stillinger and Weber's potential is no better than that")

warm = multiscale.referred_to(law, 300.0)  # strains counted from the crystal that is free of stress at 300 K
at_rest = warm.evaluate(np.eye(3)[None], {"temperature": np.array([300.0])})
assert np.abs(at_rest.first_piola).max() < 1e-12
assert miss < 1e-4 and np.max(np.abs(deviations)) < 4.0

if len(sys.argv) > 1:
    matplotlib.use("agg")
    figure = Figure(figsize=(8.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    T = np.linspace(0.0, 700.0, 36)
    curves = np.array([figures(law, one) for one in T])
    inside = T <= 600.0
    widths = np.array([np.interp(T[inside], temperatures, column) for column in every_error.T])
    for k, (name, colour) in enumerate(zip(NAMES, ("#0072B2", "#D55E00", "#009E73"), strict=True)):
        cold = curves[0, k]
        left.plot(T, curves[:, k] / cold, color=colour, label=f"{name}, {cold:.1f} GPa at 0 K")
        low, high = (curves[inside, k] + sign * widths[k] for sign in (-1.0, 1.0))
        left.fill_between(T[inside], low / cold, high / cold, color=colour, alpha=0.2, linewidth=0.0)
        points = [(int(one), *np.array(direct[one][name]) / cold) for one in direct]
        left.errorbar(*np.transpose(points), fmt="o", color=colour, markersize=4, capsize=3)
    right.plot(T, curves[:, 3], color="#0072B2", label="fitted free energy, one standard error")
    low, high = (curves[inside, 3] + sign * widths[3] for sign in (-1.0, 1.0))
    right.fill_between(T[inside], low, high, color="#0072B2", alpha=0.2, linewidth=0.0)
    points = [(int(one), *direct[one]["lattice_constant"]) for one in direct]
    right.errorbar(*np.transpose(points), fmt="o", color="#000000", markersize=4, capsize=3, label="direct simulation")
    left.set(xlabel="temperature (K)", ylabel="elastic constant / value at 0 K")
    right.set(xlabel="temperature (K)", ylabel="lattice constant (Å)")
    for axes in (left, right):
        axes.axvspan(600.0, 700.0, color="#eeeeee", zorder=0, label="beyond the data")
        axes.set_xlim(-20.0, 700.0)
        axes.legend(frameon=False, fontsize=8.5)
    figure.savefig(sys.argv[1], dpi=150)
