"""The TOML file of a run, checked before anything is computed.

Every key that has a unit carries it in its name. Models are frozen; unknown keys are refused. What is wrong is told by its
place in the file: ``bracket.toml: [law] neurons = -3: expected greater than or equal to 1``. Paths are relative to the file.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Self, get_args

from ase.data import chemical_symbols
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)


class ConfigurationError(ValueError):
    """A TOML file that describes no run; one line for each thing that is wrong, with its place and what was expected."""


def _existing_file(path: Path, info: ValidationInfo) -> Path:
    resolved = Path((info.context or {}).get("folder", ".")) / path
    if not resolved.is_file():
        raise ValueError(f"an existing file; there is none at {resolved}")
    return resolved


def _chemical_symbol(symbol: str) -> str:
    if symbol not in chemical_symbols[1:]:
        raise ValueError('a chemical symbol, such as "Si"')
    return symbol


InputFile = Annotated[Path, Field(strict=False), AfterValidator(_existing_file)]
Element = Annotated[str, AfterValidator(_chemical_symbol)]
Positive = Annotated[float, Field(gt=0.0)]
Vector = tuple[float, float, float]


class Section(BaseModel):
    """What all sections share: frozen, no unknown keys, no silent conversions, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Crystal(Section):
    """The crystal: an element in a simple structure, or a file that ASE reads."""

    element: Element | None = None
    structure: Literal["diamond", "fcc", "bcc", "sc", "hcp"] | None = None
    lattice_constant_angstrom: Positive | None = None
    file: InputFile | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        built = (self.element, self.structure, self.lattice_constant_angstrom)
        if (None not in built and self.file is None) or (self.file is not None and built == (None, None, None)):
            return self
        raise ValueError("either element, structure and lattice_constant_angstrom, or file alone")


class Reference(Section):
    """The model that labels configurations: a registered name, its parameters, and how many configurations it labels.

    Where the model has been asked before, a dataset of its labels and a record of its own figures, and its name for the reader.
    """

    name: str
    parameters: dict[str, bool | int | float | str] = {}
    configurations_scale: float = Field(1.0, gt=0.0, le=100.0)
    dataset: InputFile | None = None
    recorded: InputFile | None = None

    @model_validator(mode="after")
    def _asked_now_or_before(self) -> Self:
        if (self.dataset is None) != (self.recorded is None):
            raise ValueError("dataset and recorded together, or neither")
        if self.dataset is not None and (self.parameters or self.configurations_scale != 1.0):
            raise ValueError("no parameters and no configurations_scale beside a dataset, which is labelled already")
        return self


class Potential(Section):
    """The neural network potential and its training; what is left out is `atomistic.TrainingSettings`' own."""

    model: Literal["layers", "gaussians"] = Field(
        "layers", description="networks trained by descent, or Gaussians about the data's environments in closed form"
    )
    centres: int | None = Field(None, ge=1, le=20_000, description="Gaussians at most, for each element")
    members: int = Field(
        1, ge=1, le=20, description="networks trained from different seeds; the potential is their mean"
    )
    cutoff_over_nearest: float | None = Field(None, ge=1.2, le=5.0)
    angular_cutoff_over_nearest: float | None = Field(None, ge=1.2, le=5.0)
    radial_functions: int | None = Field(None, ge=1, le=100)
    angular_functions: int | None = Field(None, ge=1, le=100)
    degree: int | None = Field(None, ge=1, le=10)
    hidden: tuple[Annotated[int, Field(ge=1, le=1000)], ...] | None = Field(None, min_length=1)
    optimiser: Literal["adam", "kalman"] | None = None
    epochs: int | None = Field(None, ge=0)
    learning_rate: Positive | None = None
    cycles: int | None = Field(None, ge=0)
    iterations_per_cycle: int | None = Field(None, ge=1)
    energy_error_ev_atom: Positive | None = None
    force_error_ev_angstrom: Positive | None = None
    stress_error_gpa: Positive | None = None
    decay: float | None = Field(None, ge=0.0)
    whitening_power: float | None = Field(None, ge=0.0, le=1.0)
    validation: float | None = Field(None, ge=0.0, lt=1.0)
    patience: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _of_the_model(self) -> Self:
        """What one model knows nothing of is not passed over."""
        descent = (
            "hidden",
            "optimiser",
            "epochs",
            "learning_rate",
            "cycles",
            "iterations_per_cycle",
            "decay",
            "validation",
        )
        foreign = (*descent, "patience", "members") if self.model == "gaussians" else ("centres",)
        given = [name for name in foreign if name in self.model_fields_set]
        if given:
            raise ValueError(f"no {given[0]} beside model = {self.model!r}")
        return self


class Data(Section):
    """The strained states that the law is made from, and those held out."""

    states: int = Field(100, ge=1, le=1_000_000)
    held_out_states: int = Field(200, ge=1, le=1_000_000)


class Thermal(Section):
    """Molecular dynamics at prescribed strain: stretches along x, their stress at temperature."""

    temperature_k: Positive = 300.0
    strains: tuple[Annotated[float, Field(gt=-0.3, lt=0.3)], ...] = Field((-0.04, -0.02, 0.0, 0.02, 0.04), min_length=1)
    minimum_atoms: int = Field(50, ge=1)
    timestep_fs: float = Field(2.0, gt=0.0, le=10.0)
    steps: int = Field(2000, ge=100, description="the stress is sampled every 5 steps; an error bar needs 20 samples")


class Law(Section):
    """The hyperelastic network; what is left out is the crystal's own symmetry, and the mode's own number of neurons."""

    mode: Literal["free", "penalised", "polyconvex"] = "free"
    symmetry: str | None = None
    neurons: int | None = Field(None, ge=1, le=1000)
    starts: int = Field(8, ge=1)


class Structure(Section):
    """The body: mesh, supports, loads. Tractions are dead loads per reference area on the mesh's named surfaces."""

    mesh: InputFile
    clamp: tuple[str, ...] = Field(min_length=1)
    traction_gpa: dict[str, Vector] = Field(min_length=1)
    load_steps: int = Field(5, ge=1, le=10_000)
    degree: int = Field(2, ge=1, le=3)

    @field_validator("traction_gpa")
    @classmethod
    def _some_load(cls, tractions: dict[str, Vector]) -> dict[str, Vector]:
        idle = [surface for surface, traction in tractions.items() if not any(traction)]
        if idle:
            raise ValueError(f"a traction other than zero on {idle[0]!r}")
        return tractions

    @model_validator(mode="after")
    def _free_surfaces(self) -> Self:
        held = [surface for surface in self.traction_gpa if surface in self.clamp]
        if held:
            raise ValueError(f"surfaces with a traction that are not clamped; {held[0]!r} is both")
        return self


class Truth(Section):
    """The same problem on a coarse mesh, solved with the law and with the potential itself at every quadrature point."""

    mesh: InputFile
    load_steps: int = Field(1, ge=1, le=10_000)
    degree: int = Field(2, ge=1, le=3)
    timed_points: int = Field(20, ge=1)


class Report(Section):
    """The page at the end."""

    title: str | None = None


class Configuration(Section):
    """A whole run.

    Attributes:
        name: the run's folder is ``runs/NAME``.
        seed: of every random number drawn.
        max_strain: each component of the log-strain of the training data stays within it.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="letters, digits, '.', '_' and '-'")
    seed: int = Field(0, ge=0, lt=2**32)
    max_strain: float = Field(0.06, gt=0.0, le=0.3, description="a log-strain: 6 % is 0.06")
    crystal: Crystal
    reference: Reference
    potential: Potential = Potential()
    data: Data = Data()
    thermal: Thermal = Thermal()
    law: Law = Law()
    structure: Structure
    truth: Truth
    report: Report = Report()

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read and check a TOML file.

        Raises:
            ConfigurationError: naming the place in the file, the value and what was expected.
        """
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ConfigurationError(f"{path}: no such file; expected the TOML file of a run") from error
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: not a TOML file: {error}") from error
        try:
            # by way of JSON: its strict mode takes a list for a tuple, but never a string for a number
            return cls.model_validate_json(json.dumps(content, default=str), context={"folder": path.parent})
        except ValidationError as error:
            problems = error.errors(include_url=False)
            lines = [_explain(cls, problem) for problem in problems if not _follows(problem, problems)]
            raise ConfigurationError("\n".join(f"{path}: {line}" for line in dict.fromkeys(lines))) from error

    def ingredients(self, keys: tuple[str, ...]) -> dict[str, Any]:
        """The values of some top-level keys as JSON, each file replaced by a hash of its content: what a result depends on."""
        return {key: _content(getattr(self, key)) for key in keys}


EXPECTED: Final = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text in quotes",
    "tuple_type": "a list in square brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "too_short": "at least one entry",
    "string_pattern_mismatch": "another name",
}
"""What pydantic asks for, by the type of the problem, in the words of a TOML file."""


def _content(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _content(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Path):
        return "sha256:" + hashlib.sha256(value.read_bytes()).hexdigest()
    return value


def _follows(problem: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a list is called too short only because its entries were refused."""
    place = problem["loc"]
    return problem["type"] == "too_short" and any(
        other["loc"][: len(place)] == place and len(other["loc"]) > len(place) for other in problems
    )


def _explain(model: type[BaseModel], problem: Mapping[str, Any]) -> str:
    """One line: the place in the TOML, the value there, what was expected, what to do."""
    # `A | None` and unions of scalars add their branches' names to the location: only what is in the file is shown
    branches = {"bool", "int", "float", "str", "function-after", "constrained-str"}
    keys = [key for key in problem["loc"] if not (isinstance(key, str) and (key in branches or "[" in key))]
    place = f"[{keys[0]}]" if len(keys) == 1 and _model_at(model, keys) else _place(keys)
    if problem["type"] == "missing":
        return f"{place} is missing{_described(model, keys)}"
    value = problem["input"]
    if problem["type"] == "extra_forbidden":
        known = _fields(model, keys[:-1])
        close = get_close_matches(str(keys[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{place}: unknown key; {hint}known here: {', '.join(known)}"
    expected = EXPECTED.get(problem["type"]) or (
        problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Input should ")
    )
    if expected.startswith(("greater", "less")):
        expected = f"a number {expected}"
    shown = "" if isinstance(value, dict) else f" = {json.dumps(value, default=str)}"
    return f"{place}{shown}: expected {expected}{_described(model, keys)}"


def _place(keys: list[Any]) -> str:
    """`[section] key[2]`, or the key alone where it stands at the top."""
    names = [str(key) for key in keys if isinstance(key, str)]
    index = "".join(f"[{key}]" for key in keys if isinstance(key, int))
    if len(names) < 2:
        return (names[0] if names else "the file") + index
    return f"[{'.'.join(names[:-1])}] {names[-1]}{index}"


def _model_at(model: type[BaseModel], keys: list[Any]) -> type[BaseModel] | None:
    for key in keys:
        field = model.model_fields.get(str(key))
        kind = field.annotation if field else None
        options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
        found = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
        if not found:
            return None
        model = found[0]
    return model


def _fields(model: type[BaseModel], keys: list[Any]) -> list[str]:
    section = _model_at(model, keys)
    return list(section.model_fields) if section else []


def _described(model: type[BaseModel], keys: list[Any]) -> str:
    section = _model_at(model, keys[:-1]) if keys else None
    field = section.model_fields.get(str(keys[-1])) if section else None
    return f" ({field.description})" if field is not None and field.description else ""
