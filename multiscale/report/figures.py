"""The figures of a report, as SVG text in one style: Okabe and Ito's colours, units on every axis.

Each function takes arrays and returns a picture; nothing here reads a file or knows a stage.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

LAW, POTENTIAL, REFERENCE, THERMAL = "#0072B2", "#D55E00", "#000000", "#009E73"
"""Who a curve belongs to: the same colour in every figure."""

STYLE: Final[dict[str, Any]] = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "atomlaw",
    "svg.fonttype": "path",
}
MANY_POINTS: Final = 2000
"""More points than this are drawn as an image inside the SVG."""


@matplotlib.rc_context(STYLE)
def parity(panels: Sequence[tuple[str, str, ndarray, ndarray]], *, ordinate: str, abscissa: str) -> str:
    """Prediction against reference, one panel a quantity, with its RMSE.

    Args:
        panels: (name, unit, prediction, reference) of each.
        ordinate, abscissa: whose numbers they are.
    """
    figure = new_figure(3.2 * len(panels), 3.6)
    for axes, (name, unit, prediction, reference) in zip(columns(figure, len(panels)), panels, strict=True):
        x, y = np.ravel(reference), np.ravel(prediction)
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        margin = 0.04 * (high - low or 1.0)
        limits = (low - margin, high + margin)
        axes.plot(limits, limits, color="#888888", linewidth=0.8, zorder=1)
        size = 18 if len(x) < 200 else 6
        axes.scatter(x, y, s=size, color=LAW, alpha=0.45, linewidths=0, zorder=2, rasterized=len(x) > MANY_POINTS)
        axes.set(xlim=limits, ylim=limits, aspect="equal", title=name)
        axes.set_xlabel(f"{abscissa} ({unit})")
        axes.set_ylabel(f"{ordinate} ({unit})")
        axes.locator_params(nbins=5)
        error = float(np.sqrt(np.mean((y - x) ** 2)))
        axes.text(0.05, 0.95, f"RMSE {error:.3g} {unit}", transform=axes.transAxes, va="top")
    return svg(figure)


@matplotlib.rc_context(STYLE)
def learning_curve(history: Float[ndarray, "epochs 5"]) -> str:
    """Training errors of the potential against epochs and cycles."""
    figure = new_figure(4.6, 3.0)
    (axes,) = columns(figure, 1)
    names = ("energy (meV/atom)", "force (meV/Å)", "stress (MPa)")
    for name, column, colour in zip(names, (2, 3, 4), (LAW, POTENTIAL, THERMAL), strict=True):
        axes.plot(history[:, 0], 1e3 * history[:, column], color=colour, label=name)
    axes.set(yscale="log", xlabel="epoch or cycle", ylabel="RMSE on the training set", title="Training")
    axes.legend()
    return svg(figure)


@matplotlib.rc_context(STYLE)
def stress_strain(
    paths: Mapping[str, tuple[ndarray, ndarray]],
    thermal_strain: Float[ndarray, "m"],
    thermal_stress: Float[ndarray, "m 3 3"],
    thermal_error: Float[ndarray, "m 3 3"],
    temperature: float,
) -> str:
    """P11 and P22 along a uniaxial stretch at 0 K, and from dynamics with two standard errors.

    Args:
        paths: log-strains along x (n,) and P (n, 3, 3) in GPa of "reference", "potential", "law".
        thermal_strain, thermal_stress, thermal_error: of the dynamics.
        temperature: K.
    """
    lines: dict[str, dict[str, Any]] = {
        "reference": {"color": REFERENCE, "linewidth": 4.0, "alpha": 0.25, "marker": "s", "markersize": 3.0},
        "potential": {"color": POTENTIAL, "linewidth": 2.2, "linestyle": (0, (4, 2))},
        "law": {"color": LAW},
    }
    figure = new_figure(7.4, 3.4)
    for axes, component, name in zip(columns(figure, 2), (0, 1), ("P_{11}", "P_{22}"), strict=True):
        for owner, look in lines.items():
            strain, stress = paths[owner]
            axes.plot(100 * strain, stress[:, component, component], label=f"{owner}, 0 K", **look)
        axes.errorbar(
            100 * thermal_strain,
            thermal_stress[:, component, component],
            2.0 * thermal_error[:, component, component],
            fmt="o",
            markersize=4,
            capsize=3,
            color=THERMAL,
            label=f"dynamics, {temperature:g} K (2 s.e.)",
        )
        axes.axhline(0.0, color="#888888", linewidth=0.8, zorder=0)
        axes.set(xlabel="log-strain along x (%)", ylabel=f"${name}$ (GPa)", title=f"Uniaxial strain, ${name}$")
    figure.axes[-1].legend(loc="lower right")
    return svg(figure)


@matplotlib.rc_context(STYLE)
def newton_convergence(steps: Sequence[Sequence[float]]) -> str:
    """Residuals of each load step against Newton iterations."""
    figure = new_figure(4.6, 3.0)
    (axes,) = columns(figure, 1)
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, max(len(steps), 2)))
    for k, (residuals, colour) in enumerate(zip(steps, colours, strict=False)):
        axes.semilogy(range(len(residuals)), residuals, "o-", markersize=3.5, color=colour, label=f"step {k + 1}")
    axes.set(xlabel="Newton iteration", ylabel="residual (GPa mesh length²)", title="Newton convergence")
    axes.locator_params(axis="x", integer=True)
    if len(steps) <= 8:
        axes.legend()
    return svg(figure)


@matplotlib.rc_context(STYLE)
def trust_histogram(trust: ndarray, volume: ndarray) -> str:
    """Share of the body's volume by trust."""
    figure = new_figure(4.6, 3.0)
    (axes,) = columns(figure, 1)
    axes.hist(trust, bins=np.linspace(0.0, 1.0, 41).tolist(), weights=100.0 * volume / volume.sum(), color=LAW)
    axes.set(
        yscale="log", xlabel="trust (1: inside the data)", ylabel="volume of the body (%)", title="Trust", xlim=(0, 1)
    )
    return svg(figure)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def columns(figure: Figure, count: int) -> list[Axes]:
    """So many axes side by side."""
    return list(np.atleast_1d(figure.subplots(1, count)))


def svg(figure: Figure) -> str:
    """The picture as text."""
    buffer = io.StringIO()
    # no date: the same numbers give the same bytes
    figure.savefig(buffer, format="svg", dpi=200, metadata={"Date": None})
    return buffer.getvalue()
