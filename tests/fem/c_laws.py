"""Neo-Hooke as a C function, sound or spoilt, for laws that the cell kernel takes."""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import fem
from fem.c_function import CFunction
from fem.laws import NeoHooke

SOURCE = Path(__file__).parents[2] / "benchmarks" / "neo_hooke.c"

SPOILT = """
#define atomlaw_law sound
#include "{source}"
#undef atomlaw_law

/* parameters: mu, lambda, the strain beyond which a field is not a number, and which: 1 energy, 2 stress, 3 tangent */
int64_t atomlaw_law(int64_t n, const double *F, const double *state, const void *parameters,
                    double *W, double *P, double *A, double *trust) {{
    const double *p = parameters;
    const int64_t answer = sound(n, F, state, parameters, W, P, A, trust);
    for (int64_t point = 0; point < n; ++point)
        for (int c = 0; c < 9; ++c)
            if (fabs(F[9 * point + c] - (c % 4 == 0)) > p[2]) {{
                if (p[3] == 1 && W) W[point] = NAN;
                if (p[3] == 2 && P) P[9 * point] = NAN;
                if (p[3] == 3 && A) A[81 * point] = NAN;
            }}
    return answer;
}}
"""


@cache
def library() -> Path:
    """Compiled once a session."""
    folder = Path(tempfile.mkdtemp())
    (folder / "law.c").write_text(SPOILT.format(source=SOURCE))
    command = ["cc", "-O2", "-fPIC", "-shared", "-o", str(folder / "law.so"), str(folder / "law.c"), "-lm"]
    subprocess.run(command, check=True)
    return folder / "law.so"


@dataclass(frozen=True)
class NeoHookeInC:
    """`fem.laws.NeoHooke` with a C function, of which `spoilt` may be "energy", "first_piola" or "tangent" beyond a strain."""

    law: NeoHooke
    spoilt: str = ""
    strain: float = 0.02

    def c_function(self) -> CFunction:
        which = ("", "energy", "first_piola", "tangent").index(self.spoilt)
        return CFunction(library(), np.array([self.law.mu, self.law.lmbda, self.strain, float(which)]))

    def evaluate(
        self, F: np.ndarray, state: Mapping[str, np.ndarray] | None = None, *, tangent: bool = True, trust: bool = False
    ) -> fem.Response:
        return self.law.evaluate(F, tangent=tangent)
