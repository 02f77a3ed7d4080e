"""Settings files of n2p2 and RuNNer (`input.nn`): a keyword and its values a line, comments from # or ! on.

Keywords after n2p2's documentation (Singraber, Behler and Dellago, J. Chem. Theory Comput. 15 (2019) 1827). Those of training are passed
over; those that change the physics in a way we cannot follow are refused.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from atomistic.network_file import NetworkFileError

_PREDICTION: Final = """
    number_of_elements elements atom_energy cutoff_type cutoff_alpha symfunction_short symfunction scale_symmetry_functions
    scale_min_short scale_max_short center_symmetry_functions scale_symmetry_functions_sigma global_hidden_layers_short
    global_nodes_short global_activation_short element_hidden_layers_short element_nodes_short element_activation_short
    normalize_nodes mean_energy conv_length conv_energy nnp_type nnp_generation nnp_type_gen nnp_gen"""
_REPEATED: Final = """
    symfunction_short symfunction atom_energy element_hidden_layers_short element_nodes_short element_activation_short"""
_TRAINING: Final = """
    analyze_ bond_threshold calculate_ check_input_forces debug_mode element_activation_elec element_hidden_layers_elec
    element_nodes_elec energy_fraction energy_threshold epochs ewald_ force_ four_pi_epsilon global_activation_elec
    global_hidden_layers_elec global_nodes_elec gradient_ initial_hardness jacobian_mode joint_ kalman_ main_error_metric
    memorize_symfunc_results mix_all_points nguyen_widrow_weights_ nn_type_short normalize_data_set number_of_max_neighbors optmode_
    parallel_mode points_in_memory precondition_weights print_ random_seed remove_atom_energies repeated_energy_update rmse_threshold
    runner_mode scale_max_elec scale_min_elec selection_mode short_energy_ short_force_ shuffle_weights task_batch_size
    test_fraction update_strategy updater_type use_old_weights_ use_short_forces use_short_nn weights_max weights_min write_"""

PREDICTION: Final = frozenset(_PREDICTION.split())
"""Keywords that say what the potential is."""

REPEATED: Final = frozenset(_REPEATED.split())
"""Those of them that may stand in several lines."""

TRAINING: Final = tuple(_TRAINING.split())
"""How keywords begin that say how it was trained, or concern networks of charges that a short-range potential has not."""

UNSUPPORTED: Final = {
    "charges or electrostatics": (
        "use_electrostatics electrostatic_type fixed_gausswidth fixed_charge screen_electrostatics conv_charge"
    ),
    "a dispersion correction": "use_vdw vdw_type vdw_coefficient",
    "a committee": "committee_mode committee_size committee_data",
    "atomic spins": "use_atom_spins use_spins",
    "symmetry functions for groups of elements": "global_symfunction_short element_symfunction_short",
    "pair networks": "pairsymfunction_short global_pairsymfunction_short element_pairsymfunction_short",
}
"""What changes the physics and is not supported, and the keywords that ask for it."""


@dataclass(frozen=True)
class Setting:
    """The values of a keyword, and the line of the file (from 1) they stand in."""

    line: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """The settings of `path`, by keyword, each in the order of the file."""

    path: Path
    entries: dict[str, list[Setting]]

    def has(self, keyword: str) -> bool:
        """Whether the file has this keyword."""
        return keyword in self.entries

    def all(self, *keywords: str) -> list[Setting]:
        """Every line of these keywords, in the order of the file."""
        return sorted((one for keyword in keywords for one in self.entries.get(keyword, ())), key=lambda one: one.line)

    def one(self, keyword: str) -> Setting:
        """The line of a keyword that the file must have.

        Raises:
            NetworkFileError: where it does not, or has no value there.
        """
        if keyword not in self.entries:
            raise NetworkFileError(f"{self.path} lacks the keyword {keyword!r}; is it n2p2's settings file, and whole?")
        setting = self.entries[keyword][0]
        if not setting.values:
            raise self.error(setting.line, f"{keyword!r} has no value")
        return setting

    def number(self, keyword: str, default: float | None = None) -> float:
        """The value of a keyword with one number."""
        if default is not None and not self.has(keyword):
            return default
        setting = self.one(keyword)
        return number_in(self.path, setting.line, setting.values[0], keyword)

    def error(self, line: int, problem: str) -> NetworkFileError:
        """An error that names the file and the line."""
        return NetworkFileError(f"{self.path}, line {line}: {problem}")


def number_in(path: Path, line: int, word: str, name: str) -> float:
    """A finite number.

    Raises:
        NetworkFileError: naming file and line, where the word is another thing.
    """
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NetworkFileError(f"{path}, line {line}: {name} is {word!r}, expected a finite number")
    return value


def count_in(path: Path, line: int, word: str, name: str) -> int:
    """A whole number from 0 to 10,000; `number_in` otherwise."""
    value = number_in(path, line, word, name)
    if value != int(value) or not 0 <= value <= 10_000:
        raise NetworkFileError(f"{path}, line {line}: {name} is {word!r}, expected a whole number up to 10,000")
    return int(value)


def read_lines(path: Path, comments: str) -> list[tuple[int, tuple[str, ...]]]:
    """The words of each line that has some, with its number from 1; a comment begins with one of `comments`.

    Raises:
        NetworkFileError: where the file is missing or not text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NetworkFileError(f"{path} cannot be read as a text file of n2p2 ({error})") from error
    lines = []
    for k, line in enumerate(text.splitlines(), start=1):
        for mark in comments:
            line = line.split(mark, 1)[0]
        if words := tuple(line.split()):
            lines.append((k, words))
    return lines


def read_settings(path: Path) -> Settings:
    """The settings of an `input.nn`.

    Warns:
        UserWarning: naming keywords that are neither n2p2's nor RuNNer's; they are passed over, as n2p2 does.

    Raises:
        NetworkFileError: where the file is missing or not text, gives a keyword twice, or asks for physics we do not have.
    """
    settings = Settings(path, {})
    unknown = []
    for line, (keyword, *values) in read_lines(path, "#!"):
        entries = settings.entries.setdefault(keyword, [])
        if entries and keyword in PREDICTION - REPEATED:
            raise settings.error(line, f"{keyword!r} stands in line {entries[0].line} already")
        entries.append(Setting(line, tuple(values)))
        for physics, keywords in UNSUPPORTED.items():
            if keyword in keywords.split():
                raise settings.error(line, f"{keyword!r} asks for {physics}, which is not supported here")
        if keyword.startswith("nnp_") and values[:1] not in (["2G-HDNNP"], ["2"]):
            raise settings.error(line, f"{keyword} {' '.join(values)} is not supported, only the short-range 2G-HDNNP")
        if keyword == "nn_type_short" and values[:1] != ["1"]:
            raise settings.error(line, f"nn_type_short {' '.join(values)} is not supported, only atomic networks (1)")
        if keyword not in PREDICTION and not keyword.startswith(TRAINING):
            unknown.append(f"{keyword} (line {line})")
    if unknown:
        warnings.warn(f"{path} has keywords we do not know, which are passed over: {', '.join(unknown)}", stacklevel=3)
    return settings
