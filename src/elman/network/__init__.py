"""Network that a model file describes, in NumPy and native kernels: whole sequences, single steps, many streams."""

from elman.network.layer import Layer
from elman.network.layer_types import LAYER_TYPES, make_layer
from elman.network.model_file import MODEL, ModelFile, read_model
from elman.network.no_spec import NoSpec
from elman.network.slots import Streams
from elman.network.stepper import Stepper

__all__ = ["LAYER_TYPES", "MODEL", "Layer", "ModelFile", "NoSpec", "Stepper", "Streams", "make_layer", "read_model"]
