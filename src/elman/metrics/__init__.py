"""What a model is worth on data it has not seen."""

from elman.metrics.calibration import calibration_error, temperature
from elman.metrics.classes import ClassReport, class_report
from elman.metrics.entities import EntityReport, entity_report
from elman.metrics.likelihood import Likelihood

__all__ = [
    "ClassReport",
    "EntityReport",
    "Likelihood",
    "calibration_error",
    "class_report",
    "entity_report",
    "temperature",
]
