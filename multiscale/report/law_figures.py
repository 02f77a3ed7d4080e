"""The figures of one fitted law, in the style of multiscale.report.figures: numbers in, SVG text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from numpy import ndarray

from multiscale.report.figures import LAW, POTENTIAL, REFERENCE, STYLE, THERMAL, columns, new_figure, svg

COLOURS: Final = (LAW, POTENTIAL, THERMAL, "#CC79A7", "#E69F00", "#56B4E9", REFERENCE)

BORDER: Final = 0.97
"""Trust at which the domain's border is drawn: at 1 itself the line would follow the grid."""

SURFACE: Final = (61, 121)
"""Polar and azimuthal angles of the drawn surface."""


@dataclass(frozen=True)
class Curve:
    """Stress along a path.

    Attributes:
        name: of the path.
        strain: (n,), as drawn. stress: (n,) GPa.
        bar: (n,) half of the 90 % interval, GPa; None where the law has none.
        inside: (n,) whether the law's domain holds the state.
    """

    name: str
    strain: Float[ndarray, "n"]
    stress: Float[ndarray, "n"]
    bar: Float[ndarray, "n"] | None
    inside: Bool[ndarray, "n"]


@dataclass(frozen=True)
class EllipticityMap:
    """Smallest acoustic eigenvalues in a plane of strain.

    Attributes:
        names: of the two axes.
        strain: (m,) along both axes. eigenvalue: (m, m) GPa, the second axis first. trust: (m, m), 1 in the domain.
    """

    names: tuple[str, str]
    strain: Float[ndarray, "m"]
    eigenvalue: Float[ndarray, "m m"]
    trust: Float[ndarray, "m m"]


@matplotlib.rc_context(STYLE)
def stress_curves(panels: Mapping[str, tuple[str, Sequence[Curve]]]) -> str:
    """Stress against strain; broken where the law extrapolates, a band for the error bar.

    Args:
        panels: title -> (name of the strain, the curves).
    """
    figure = new_figure(3.8 * len(panels), 3.3)
    for axes, (title, (abscissa, curves)) in zip(columns(figure, len(panels)), panels.items(), strict=True):
        for curve, colour in zip(curves, COLOURS, strict=False):
            x = 100.0 * curve.strain
            axes.plot(x, curve.stress, color=colour, linewidth=1.0, linestyle=(0, (3, 2)))
            axes.plot(x, np.where(curve.inside, curve.stress, np.nan), color=colour, linewidth=2.0, label=curve.name)
            if curve.bar is not None:
                axes.fill_between(
                    x, curve.stress - curve.bar, curve.stress + curve.bar, color=colour, alpha=0.18, linewidth=0
                )
        axes.axhline(0.0, color="#888888", linewidth=0.8, zorder=0)
        # the curves are to be read, however wide the bands become
        drawn = np.concatenate([curve.stress for curve in curves])
        margin = 0.25 * float(np.ptp(drawn)) or 1.0
        axes.set_ylim(drawn.min() - margin, drawn.max() + margin)
        axes.set(xlabel=f"{abscissa} (%)", ylabel="stress P (GPa)", title=title)
        axes.legend()
    return svg(figure)


@matplotlib.rc_context(STYLE)
def elastic_constants(names: Sequence[str], owners: Mapping[str, tuple[ndarray, ndarray | None]]) -> str:
    """Elastic constants of the law beside others', with two standard errors.

    Args:
        names: of the constants.
        owners: whose -> (values, standard errors or None), GPa.
    """
    figure = new_figure(max(3.8, 0.55 * len(names) + 2.0), 3.0 + 0.2 * len(owners))
    (axes,) = columns(figure, 1)
    places = np.arange(len(names))
    markers = ("o", "s", "D", "^")
    shift = 0.18
    for k, (owner, (values, errors)) in enumerate(owners.items()):
        axes.errorbar(
            places + shift * (k - 0.5 * (len(owners) - 1)),
            values,
            None if errors is None else 2.0 * errors,
            fmt=markers[k % len(markers)],
            color=COLOURS[k],
            markersize=5,
            markerfacecolor=COLOURS[k] if k == 0 else "white",
            capsize=3,
            linewidth=1.2,
            label=owner,
        )
    axes.set_xticks(places, [f"$C_{{{name[1:]}}}$" for name in names])
    axes.set(ylabel="GPa", title="Elastic constants", xlim=(-0.6, len(names) - 0.4))
    axes.axhline(0.0, color="#888888", linewidth=0.8, zorder=0)
    axes.grid(False, axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12))
    return svg(figure)


@matplotlib.rc_context(STYLE)
def modulus_surface(compliance: Float[ndarray, "6 6"]) -> str:
    """Young's modulus in every direction n, E(n) = 1 / (n n : S : n n), as the surface r = E(n) n.

    Nye, Physical Properties of Crystals, chapter VIII, section 6.
    """
    theta, phi = np.meshgrid(
        np.linspace(0.0, np.pi, SURFACE[0]), np.linspace(0.0, 2.0 * np.pi, SURFACE[1]), indexing="ij"
    )
    n = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1)
    E = youngs_modulus(compliance, n)
    figure = Figure(figsize=(4.8, 4.2))
    # matplotlib types what it returns as a plane's axes
    axes: Any = figure.add_axes((0.0, 0.0, 0.82, 0.88), projection="3d", computed_zorder=False)
    low, high = float(E.min()), float(E.max())
    # an isotropic surface has one colour, not round-off's
    spread = high - low > 1e-3 * high
    norm = matplotlib.colors.Normalize(low if spread else 0.9 * low, high if spread else 1.1 * high)
    shades = matplotlib.colormaps["viridis"]
    x, y, z = np.moveaxis(E[..., None] * n, -1, 0)
    axes.plot_surface(
        x,
        y,
        z,
        facecolors=shades(norm(E)),
        rstride=1,
        cstride=1,
        linewidth=0.0,
        antialiased=False,
        shade=False,
        rasterized=True,
    )
    for k, name in enumerate("xyz"):
        # from the surface outwards: all three point to the viewer
        end = np.zeros((2, 3))
        end[:, k] = float(youngs_modulus(compliance, np.eye(3)[k])), 1.3 * high
        axes.plot(*end.T, color=REFERENCE, linewidth=1.0, zorder=3)
        axes.text(*(1.12 * end[1]), name)
    axes.set(xlim=(-high, high), ylim=(-high, high), zlim=(-high, high))
    axes.set_box_aspect((1.0, 1.0, 1.0), zoom=1.2)
    axes.set_axis_off()
    axes.view_init(elev=22.0, azim=38.0)
    bar = figure.colorbar(
        matplotlib.cm.ScalarMappable(norm, shades), cax=figure.add_axes((0.83, 0.18, 0.03, 0.6)), label="E(n) (GPa)"
    )
    bar.outline.set_visible(False)
    figure.text(0.02, 0.95, f"Young's modulus, {low:.4g} to {high:.4g} GPa", fontsize=10)
    return svg(figure)


def youngs_modulus(compliance: Float[ndarray, "6 6"], n: Float[ndarray, "*k 3"]) -> Float[ndarray, "*k"]:
    """E along unit vectors n, of a Voigt compliance (inverse of the elastic constants)."""
    m = np.stack([n[..., i] * n[..., j] for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))], axis=-1)
    return np.asarray(1.0 / np.einsum("...a,ab,...b->...", m, compliance, m))


@matplotlib.rc_context(STYLE)
def ellipticity_maps(maps: Sequence[EllipticityMap]) -> str:
    """Smallest acoustic eigenvalue over planes of strain: red where ellipticity is lost, a broken line around the domain."""
    figure = new_figure(4.2 * len(maps), 3.5)
    largest = max(float(np.quantile(np.abs(found.eigenvalue), 0.95)) for found in maps)
    norm = matplotlib.colors.TwoSlopeNorm(0.0, -largest, largest)
    for axes, found in zip(columns(figure, len(maps)), maps, strict=True):
        x = 100.0 * found.strain
        picture = axes.pcolormesh(x, x, found.eigenvalue, cmap="RdBu", norm=norm, shading="gouraud", rasterized=True)
        if found.eigenvalue.min() <= 0.0 < found.eigenvalue.max():
            axes.contour(x, x, found.eigenvalue, [0.0], colors=[REFERENCE], linewidths=1.4)
        if found.trust.min() < BORDER < found.trust.max():
            axes.contour(x, x, found.trust, [BORDER], colors=[REFERENCE], linewidths=1.0, linestyles=[(0, (2, 2))])
        axes.plot(0.0, 0.0, "+", color=REFERENCE)
        axes.grid(False)
        axes.set(xlabel=f"{found.names[0]} (%)", ylabel=f"{found.names[1]} (%)", aspect="equal")
    figure.colorbar(picture, ax=figure.axes, label="smallest acoustic eigenvalue (GPa)", shrink=0.85, extend="both")
    figure.axes[0].set_title("Ellipticity is lost where red; broken line: domain")
    return svg(figure)


@matplotlib.rc_context(STYLE)
def domain(strain: Float[ndarray, "n 6"], names: Sequence[str], trust: Sequence[Curve]) -> str:
    """The states of the data, component by component of their log-strain, and trust along some paths (as `stress`)."""
    figure = new_figure(7.6, 3.2)
    left, right = columns(figure, 2)
    rng = np.random.default_rng(0)
    for k in range(len(names)):
        jitter = k + rng.uniform(-0.25, 0.25, len(strain))
        left.scatter(
            100.0 * strain[:, k], jitter, s=6, color=LAW, alpha=0.4, linewidths=0, rasterized=len(strain) > 500
        )
        low, high = 100.0 * strain[:, k].min(), 100.0 * strain[:, k].max()
        left.plot([low, high], [k, k], color=REFERENCE, linewidth=1.0)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set(xlabel="log-strain (%)", title="States of the data")
    for curve, colour in zip(trust, COLOURS, strict=False):
        right.plot(100.0 * curve.strain, curve.stress, color=colour, label=curve.name)
    right.set(xlabel="log-strain (%)", ylabel="trust", title="1 inside the domain, less outside", ylim=(0.0, 1.05))
    right.legend(loc="lower center")
    return svg(figure)


@matplotlib.rc_context(STYLE)
def errors_by_states(states: Sequence[int], errors: Mapping[str, Sequence[float]]) -> str:
    """Normalised mean square errors on states held out against the number of states fitted to."""
    figure = new_figure(5.2, 3.0)
    (axes,) = columns(figure, 1)
    for (name, values), colour in zip(errors.items(), COLOURS, strict=False):
        axes.loglog(states, values, "o-", color=colour, markersize=4, label=name)
    axes.set_xticks(list(states), [str(count) for count in states])
    axes.minorticks_off()
    axes.set(xlabel="states fitted to", ylabel="NMSE, states held out", title="Learning curve")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return svg(figure)
