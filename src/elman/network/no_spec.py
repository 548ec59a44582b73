"""Models that `elman.network` cannot run, and the reason."""

from typing import Any, Self

from elman.declared_types import Record


def named(kind: str, path: str) -> str:
    """Return the name of a part of a model for a message: `cells.1 (MaxPooling)`; its class for the model itself."""
    return f"{path} ({kind})" if path else kind


class NoSpec(ValueError):
    """Error about a model that `elman.network` cannot run: `cells.1 (MaxPooling) has no layer type in elman.network`.

    Args:
        kind: class of the part without a spec.
        reason: the message after the name of the part.
        path: module path of the part in the model; empty for the model itself.
    """

    def __init__(self, kind: str, reason: str, path: str = ""):
        super().__init__(f"{named(kind, path)} {reason}")
        self.kind, self.reason, self.path = kind, reason, path

    @classmethod
    def of(cls, model: Any) -> Self:
        """Return the error about a model that has no layer type, or that is not a cell."""
        known = hasattr(model, "streams")
        return cls(type(model).__name__, "has no layer type in elman.network" if known
                   else "is not a cell or a layer of elman")  # fmt: skip

    def inside(self, path: str) -> Self:
        """Return the same error about a model that contains this one at a module path."""
        return type(self)(self.kind, self.reason, f"{path}.{self.path}".removesuffix("."))


def spec_metadata(model: Any) -> Record:
    """Return the part of a file's metadata that describes the network: `spec`, or `no_spec` with the reason."""
    try:
        if not hasattr(model, "spec"):
            raise NoSpec.of(model)
        return {"spec": model.spec()}
    except NoSpec as error:
        return {"no_spec": str(error)}
