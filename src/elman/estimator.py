"""What scikit-learn asks of an estimator, without scikit-learn: settings that can be read, set, printed and cloned."""

import inspect
import sys
from typing import Any, ClassVar, Self

import numpy as np

from elman.nearest import did_you_mean


class Estimator:
    """Its settings are the arguments of its constructor, each kept under its name; it may be a dataclass.

    `estimator_type` is what scikit-learn calls its kind: "classifier" has folds of equal shares of the classes, and
    can be asked for class probabilities; None is no kind that it knows.
    """

    estimator_type: ClassVar[str | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A dataclass leaves a __repr__ alone that its class has; an inherited one it would replace by its own.
        estimators = (base for base in cls.__mro__ if issubclass(base, Estimator) and "__repr__" in vars(base))
        cls.__repr__ = vars(next(estimators))["__repr__"]  # type: ignore[method-assign]

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name; `deep` changes nothing here, no setting is an estimator."""
        return {name: getattr(self, name) for name in sorted(self._defaults())}

    def set_params(self, **params: Any) -> Self:
        """Change settings by name; `fit` tells whether their values can act.

        Raises:
            ValueError: there is no such setting; none is changed then.
        """
        known = self._defaults()
        for name in params:
            if name not in known:
                raise ValueError(f"{type(self).__name__}.set_params: {name}: unknown{did_you_mean(name, known)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """The settings that are not as they would be anyway."""
        defaults = self._defaults()
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if not same(value, defaults[name])]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """Asked by scikit-learn alone (a grid search, a pipeline), which is loaded then."""
        utils = sys.modules["sklearn.utils"]
        classifies = self.estimator_type == "classifier"
        return utils.Tags(
            estimator_type=self.estimator_type,
            target_tags=utils.TargetTags(required=classifies),
            classifier_tags=utils.ClassifierTags() if classifies else None,
        )


def same(a: Any, b: Any) -> bool:
    """Whether two settings are the same; arrays are when all their numbers are."""
    return type(a) is type(b) and bool(np.array_equal(a, b))
