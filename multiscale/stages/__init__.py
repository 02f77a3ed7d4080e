"""The chain from atoms to a deformed body, one file a stage.

reference -> potential -> data -> law -> structure -> truth
                  \\-> thermal -----------------------------> report
"""

from multiscale.stages.data import DATA
from multiscale.stages.law import LAW
from multiscale.stages.potential import POTENTIAL
from multiscale.stages.reference import REFERENCE
from multiscale.stages.report import REPORT
from multiscale.stages.structure import STRUCTURE
from multiscale.stages.thermal import THERMAL
from multiscale.stages.truth import TRUTH

CHAIN = (REFERENCE, POTENTIAL, DATA, THERMAL, LAW, STRUCTURE, TRUTH, REPORT)
"""All stages, each after those it needs."""

__all__ = ["CHAIN"]
