"""Metrics: reports and error rates of predictions on held-out data."""

from elman.metrics.calibration import calibration_error, temperature
from elman.metrics.classes import ClassReport, class_report
from elman.metrics.comparison import Comparison
from elman.metrics.edits import edit_distances, error_rate
from elman.metrics.entities import EntityReport, entity_report
from elman.metrics.likelihood import Likelihood
from elman.metrics.summary import SummaryReport, summary_report
from elman.metrics.surprisal import MinimalPairs, Surprisal
from elman.metrics.translation import TranslationReport, translation_report

__all__ = [
    "ClassReport",
    "Comparison",
    "EntityReport",
    "Likelihood",
    "MinimalPairs",
    "SummaryReport",
    "Surprisal",
    "TranslationReport",
    "calibration_error",
    "class_report",
    "edit_distances",
    "entity_report",
    "error_rate",
    "summary_report",
    "temperature",
    "translation_report",
]
