"""Pictures of predictions, states and evaluations. Each function returns a matplotlib `Figure`."""

from elman.pictures.alignment import alignment
from elman.pictures.attention_maps import attention_maps
from elman.pictures.bands import bands
from elman.pictures.confusion import confusion
from elman.pictures.doctor import doctor
from elman.pictures.forecast import forecast
from elman.pictures.gates import gates
from elman.pictures.loss_curves import loss_curves
from elman.pictures.occlusion import occlusion
from elman.pictures.states import states
from elman.pictures.surprisal import surprisal

__all__ = [
    "alignment",
    "attention_maps",
    "bands",
    "confusion",
    "doctor",
    "forecast",
    "gates",
    "loss_curves",
    "occlusion",
    "states",
    "surprisal",
]


def __dir__() -> list[str]:
    return __all__
