"""The reference's own figures in the form a run starts from: reference.json and the stress along [100], which is computed here.

Writes recorded.json. Under uniaxial strain along a cube axis the atoms of diamond stay where symmetry holds them: nothing relaxes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from elastic import Diamond
from generate import HERE, write_atomically

import atomistic
from atomistic.espresso import PlaneWaves
from multiscale.data.recorded import RecordedReference
from multiscale.sampling.relaxed_states import crystal_record

LOG_STRAINS = np.linspace(-0.06, 0.06, 9)


def cubic(c11: float, c12: float, c44: float) -> list[list[float]]:
    """The 6 x 6 matrix of a cubic crystal along its axes."""
    matrix = np.diag([c11 - c12] * 3 + [c44] * 3)
    matrix[:3, :3] += c12
    return [[float(value) for value in row] for row in matrix]


def record(directory: Path) -> RecordedReference:
    """Everything a report sets beside the potential and the law."""
    known = json.loads((HERE / "reference.json").read_text())
    waves = PlaneWaves(convergence=1e-10)
    diamond = Diamond(directory, waves)
    diamond.lattice_constant = known["lattice_constant_A"]
    at_rest = diamond.cell(np.zeros((3, 3)))
    path = []
    for strain in LOG_STRAINS:
        F = np.diag([np.exp(strain), 1.0, 1.0])
        path.append(atomistic.first_piola(diamond.stress(F - np.eye(3)), F).tolist())
    fields = {
        "model": f"Quantum ESPRESSO, PBE, {waves.pseudopotentials['Si']}, {waves.cutoff:g} Ry, k-points {waves.k_spacing:g} 1/A apart",
        "crystal": crystal_record(at_rest),
        "elastic_constants_gpa": cubic(known["C11_GPa"], known["C12_GPa"], known["C44_GPa"]),
        "clamped_elastic_constants_gpa": cubic(known["C11_GPa"], known["C12_GPa"], known["C44_clamped_GPa"]),
        "uniaxial_strain": {"log_strain": LOG_STRAINS.tolist(), "first_piola_gpa": path},
    }
    return RecordedReference.model_validate_json(json.dumps(fields))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path("runs/silicon_pbe"))
    arguments = parser.parse_args()
    write_atomically(HERE / "recorded.json", record(arguments.cache).text())


if __name__ == "__main__":
    main()
