"""Stage 8: one self-contained page that shows what was done, how well, and where the law should not be trusted."""

import base64
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np

import multiscale
from atomistic import NeuralPotential
from multiscale.configuration import Configuration
from multiscale.laws.files import load_fitted_law
from multiscale.report import figures
from multiscale.stages.arrays import read_arrays
from multiscale.stages.data import STATES
from multiscale.stages.engine import Finding, Job, Stage
from multiscale.stages.law import LAW_FILE, PARITY
from multiscale.stages.potential import HELD_OUT, HISTORY, POTENTIAL_FILE
from multiscale.stages.reference import REFERENCE_PATH, stretches
from multiscale.stages.structure import NEWTON, POINTS, STRESS_PICTURE, TRUST_PICTURE
from multiscale.stages.thermal import PATH, THERMAL_STATES
from multiscale.stages.truth import COMPARISON

PAGE: Final = "report.html"
TEMPLATE: Final = "report.html.j2"
DRAWN_TANGENTS: Final = 4000
"""So many components of the tangent are drawn, spread evenly over all."""

MEASURED: Final = {
    "Si": ((165.7, 63.9, 79.6), "Wortman and Evans, J. Appl. Phys. 36 (1965) 153"),
    "Cu": ((168.4, 121.4, 75.4), "Simmons and Wang, Single Crystal Elastic Constants, MIT Press (1971)"),
}
"""C11, C12, C44 (GPa) of the real crystal at room temperature: how far the reference model itself is from it."""

PACKAGES: Final = (
    "atomlaw",
    "ase",
    "dolfinx-solver-real",
    "fenics-ffcx",
    "gmsh",
    "matscipy",
    "numpy",
    "scipy",
    "spglib",
    "torch",
)


def write_report(job: Job) -> Finding:
    """Draw all figures and fill the page."""
    room = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([room, room.parent / "report"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    metrics = {name: value for record in job.records.values() for name, value in record.metrics.items()}
    newton = json.loads(job.upstream("structure", NEWTON).read_text())
    page = environment.get_template(TEMPLATE).render(
        title=job.configuration.report.title or f"{job.configuration.name}: from atoms to a deformed body",
        configuration=job.configuration,
        metrics=metrics,
        constants=elastic_constants(job.configuration, metrics),
        states=multiscale.StressStrainData.read(job.upstream("data", STATES)),
        law=load_fitted_law(job.upstream("law", LAW_FILE)),
        potential=NeuralPotential.load(job.upstream("potential", POTENTIAL_FILE)),
        newton=newton,
        figures=drawn(job, newton["steps"]),
        pictures={
            name: embedded(job.upstream("structure", file))
            for name, file in (("stress", STRESS_PICTURE), ("trust", TRUST_PICTURE))
        },
        records=job.records,
        versions=versions(PACKAGES),
        settings=job.configuration.model_dump_json(indent=2, exclude_none=True),
    )
    (job.folder / PAGE).write_text(page, encoding="utf-8")
    return Finding(f"{len(page) / 1e6:.1f} MB, everything in one page", {"report_megabytes": len(page) / 1e6})


def drawn(job: Job, steps: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The figures as SVG text by name."""
    held_out = read_arrays(job.upstream("potential", HELD_OUT))
    history = read_arrays(job.upstream("potential", HISTORY))["history"]
    parity = read_arrays(job.upstream("law", PARITY))
    of_reference = read_arrays(job.upstream("reference", REFERENCE_PATH))
    path = read_arrays(job.upstream("thermal", PATH))
    thermal = multiscale.StressStrainData.read(job.upstream("thermal", THERMAL_STATES))
    points = read_arrays(job.upstream("structure", POINTS))
    compared = read_arrays(job.upstream("truth", COMPARISON))
    law = load_fitted_law(job.upstream("law", LAW_FILE))
    tangents = np.linspace(0, parity["tangent"].size - 1, min(DRAWN_TANGENTS, parity["tangent"].size)).astype(int)
    return {
        "potential_parity": figures.parity(
            [
                (name.capitalize(), unit, held_out[name] - offset, held_out[f"{name}_reference"] - offset)
                for name, unit, offset in (
                    ("energy", "meV/atom", float(held_out["energy_reference"].min())),
                    ("force", "eV/Å", 0.0),
                    ("stress", "GPa", 0.0),
                )
            ],
            ordinate="potential",
            abscissa="reference",
        ),
        "training": figures.learning_curve(history) if len(history) else "",
        "law_parity": figures.parity(
            [
                ("Stress P", "GPa", parity["stress"], parity["stress_potential"]),
                ("Tangent A", "GPa", parity["tangent"].flat[tangents], parity["tangent_potential"].flat[tangents]),
            ],
            ordinate="law",
            abscissa="potential",
        ),
        "stress_strain": figures.stress_strain(
            {
                "reference": (of_reference["strain"], of_reference["stress"]),
                "potential": (path["strain"], path["stress"]),
                "law": (path["strain"], law.evaluate(stretches(path["strain"]), tangent=False).first_piola),
            },
            np.log(thermal.deformation_gradient[:, 0, 0]),
            thermal.labels("first_piola"),
            thermal.labels("first_piola_error"),
            thermal.temperature,
        ),
        "newton": figures.newton_convergence([step["residuals"] for step in steps]),
        "trust": figures.trust_histogram(points["trust"], points["volume"]),
        "truth_parity": figures.parity(
            [("Cauchy stress in the body", "GPa", compared["stress"], compared["stress_atoms"])],
            ordinate="with the law",
            abscissa="asking the atoms",
        ),
    }


def elastic_constants(configuration: Configuration, metrics: dict[str, float]) -> list[dict[str, Any]]:
    """Rows of the table: whose constants, C11, C12, C44 in GPa, deviation from the row they should match, source."""
    names = ("c11", "c12", "c44")
    rows: list[dict[str, Any]] = []
    measured = MEASURED.get(configuration.crystal.element or "")
    if measured is not None:
        values, source = measured
        rows.append({"owner": "measured", "values": values, "deviation": None, "note": source})
    chain = (("reference", None), ("nnp", "reference"), ("law", "nnp"))
    notes = {
        "reference": f"{configuration.reference.name}, relaxed, central differences",
        "nnp": "neural potential, exact relaxed tangent at F = I; deviation from the reference",
        "law": "hyperelastic network; deviation from the potential",
    }
    for owner, judge in chain:
        found = tuple(metrics[f"{owner}_{name}"] for name in names)
        deviation = judge and [
            100.0 * (metrics[f"{owner}_{name}"] / metrics[f"{judge}_{name}"] - 1.0) for name in names
        ]
        rows.append({"owner": owner, "values": found, "deviation": deviation, "note": notes[owner]})
    return rows


def embedded(picture: Path) -> str:
    """A PNG as a data address."""
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of the packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


REPORT = Stage(
    name="report",
    reads=("name", "crystal", "reference", "thermal", "law", "structure", "report"),
    needs=("reference", "potential", "data", "thermal", "law", "structure", "truth"),
    outputs=(PAGE,),
    work=write_report,
)
