"""Pictures of series: what a model believes, drawn over what was seen. Each function returns a matplotlib `Figure`."""

from elman.pictures.bands import bands
from elman.pictures.forecast import forecast
from elman.pictures.states import states

__all__ = ["bands", "forecast", "states"]
