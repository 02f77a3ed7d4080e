"""Classical laws on disk, and any law by its file alone."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from atomistic.network_file import NetworkFileError
from fem.law import Law
from fem.laws import NeoHooke as CompressibleNeoHooke
from fem.laws import SaintVenantKirchhoff
from multiscale.classical import IsotropicLaw, ThirdOrderElasticity
from multiscale.classical.files import UnknownLaw, load_classical_law, save_classical_law
from multiscale.classical.models import classical_models
from multiscale.data.stress_units import UnitError
from multiscale.laws.convex_network import ConvexNetwork
from multiscale.laws.files import load_fitted_law, load_law
from multiscale.symmetry.point_group import PointGroup

from .random_laws import random_law, random_strains
from .random_thermal_laws import random_thermal_law
from .rubber import treloar
from .test_saved_law import rewrite_header

LAWS: dict[str, Law] = {
    model.name: model.build([parameter.start[1] for parameter in model.parameters], 100.0)
    for model in classical_models()
    if model.name not in ("Gent", "Arruda-Boyce")  # their limit is set below
} | {
    "third order": ThirdOrderElasticity.cubic(160.0, 70.0, 60.0, -800.0, -450.0, -60.0, 15.0, -300.0, -60.0),
    "gent": next(m for m in classical_models() if m.name == "Gent").build([0.3, 80.0], 100.0),
    "arruda-boyce": next(m for m in classical_models() if m.name == "Arruda-Boyce").build([0.3, 30.0], None),
}


@pytest.mark.parametrize("name", LAWS)
def test_round_trip_is_exact(name: str, tmp_path: Path) -> None:
    law, F = LAWS[name], random_strains(0, 10)
    F /= np.cbrt(np.linalg.det(F))[:, None, None]
    save_classical_law(law, tmp_path / "law.safetensors", unit="MPa")
    back = load_law(tmp_path / "law.safetensors", unit="MPa")
    assert type(back) is type(law)
    here, there = law.evaluate(F), back.evaluate(F)
    for field in ("energy", "first_piola", "tangent"):
        assert np.array_equal(getattr(here, field), getattr(there, field))
    assert [path.name for path in tmp_path.iterdir()] == ["law.safetensors"]


def test_convex_network(tmp_path: Path) -> None:
    law = ConvexNetwork(1).fit([treloar("uniaxial")], seed=0)
    save_classical_law(law, tmp_path / "law.safetensors", unit="MPa")
    F = np.diag([1.5, 1.0, 1.0 / 1.5])[None]
    back = load_classical_law(tmp_path / "law.safetensors", unit="MPa")
    assert np.array_equal(back.evaluate(F).first_piola, law.evaluate(F).first_piola)
    assert isinstance(back, IsotropicLaw)


def test_a_law_of_temperature(tmp_path: Path) -> None:
    law, F = random_thermal_law(PointGroup.named("m-3m"), 0), random_strains(0, 10)
    law.save(tmp_path / "law.safetensors")
    state = {"temperature": np.full(10, 450.0)}
    back = load_law(tmp_path / "law.safetensors")
    assert np.array_equal(back.evaluate(F, state).first_piola, law.evaluate(F, state).first_piola)
    with pytest.raises(UnitError, match="holds a law in 'GPa', expected 'MPa'"):
        load_law(tmp_path / "law.safetensors", unit="MPa")


def test_units_are_not_mistaken(tmp_path: Path) -> None:
    path = tmp_path / "law.safetensors"
    save_classical_law(LAWS["neo-Hooke"], path, unit="MPa")
    with pytest.raises(UnitError, match="holds a law in 'MPa', expected 'GPa'"):
        load_law(path)
    with pytest.raises(UnitError, match="psi"):
        save_classical_law(LAWS["neo-Hooke"], path, unit="psi")
    random_law(PointGroup.named("m-3m"), 0).save(path)
    with pytest.raises(UnitError, match="holds a law in 'GPa', expected 'MPa'"):
        load_law(path, unit="MPa")


def test_files_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "law.safetensors"
    with pytest.raises(UnknownLaw, match="a NeoHooke is no classical law with a file"):
        save_classical_law(CompressibleNeoHooke(mu=1.0, lmbda=1.0), path, unit="MPa")
    with pytest.raises(NetworkFileError, match="is not a file"):
        load_law(path)
    save_classical_law(SaintVenantKirchhoff.cubic(160.0, 70.0, 60.0), path, unit="GPa")
    with pytest.raises(
        NetworkFileError, match=r"has schema 'atomlaw/classical-law', expected one of .*: no fitted law"
    ):
        load_fitted_law(path)
    whole = path.read_bytes()
    for changes, message in (
        ({"schema_version": 99}, "schema version 99, this release reads 1"),
        ({"law": "os.system"}, "holds no consistent law"),
        ({"law": "Gent"}, "holds no consistent law"),
        ({"schema": 3}, "has no schema"),
    ):
        path.write_bytes(whole)
        rewrite_header(path, **changes)
        with pytest.raises(NetworkFileError, match=message):
            load_law(path)
    path.write_bytes(whole[:-8])
    with pytest.raises(NetworkFileError, match="cannot be read as a network"):
        load_law(path)
    save_file({"weights": np.zeros(3)}, path)
    with pytest.raises(NetworkFileError, match="has no schema"):
        load_law(path)
