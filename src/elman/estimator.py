"""Base class of estimators that are compatible with scikit-learn, without importing it."""

import inspect
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from elman.html_tables import html_table
from elman.nearest import did_you_mean
from elman.representation import LONGEST, brief, call, complete, figures

FEW = 8  # numbers of an array that is printed in full


class Nested(Protocol):
    """Immutable value with options of its own, one setting of an estimator."""

    @classmethod
    def of(cls, value: Any) -> Self:
        """Return the value that a shorthand stands for, or the value itself."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Options by name."""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other options."""


class _InitSignature:
    """Signature of a class: that of its `__init__`, which `inspect` would read from `Estimator.__new__`."""

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        signature = inspect.signature(owner.__init__)  # type: ignore[misc]  # of this class, not of a subclass
        return signature.replace(parameters=list(signature.parameters.values())[1:])


class Estimator:
    """Base of classes whose settings are the arguments of the constructor, each stored under its name.

    `estimator_type` is scikit-learn's type of the estimator: a "classifier" is cross-validated on stratified folds and
    has class probabilities. None: scikit-learn has no type for the task. `nested_settings` maps each setting
    that has options to its class: `set_params(cell__zoneout_c=0.1)` sets an option.
    """

    estimator_type: ClassVar[str | None] = None
    nested_settings: ClassVar[Mapping[str, type[Nested]]] = {}
    __signature__ = _InitSignature()

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        known = cls._defaults() if settings else {}
        for name in settings:
            if name not in known:
                raise TypeError(f"{cls.__name__}: {name}: unknown{did_you_mean(name, known)}")
        return super().__new__(cls)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A dataclass replaces an inherited __repr__, but not one that is defined in the class itself.
        estimators = (base for base in cls.__mro__ if issubclass(base, Estimator) and "__repr__" in vars(base))
        cls.__repr__ = vars(next(estimators))["__repr__"]  # type: ignore[method-assign]

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings by name.

        Args:
            deep: include the options of nested settings, as `cell__zoneout_c`.
        """
        params = {name: getattr(self, name) for name in sorted(self._defaults())}
        for name, kind in self.nested_settings.items() if deep else ():
            if isinstance(params[name], kind):
                params |= {f"{name}__{option}": value for option, value in params[name].options.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Change settings by name; `name__option` changes an option of a nested setting. `fit` checks the values.

        Raises:
            ValueError: a setting is unknown. No setting is changed.
            TypeError: a nested setting has a value without options. No setting is changed.
        """
        known = self._defaults()
        values: dict[str, Any] = {}
        for name in sorted(params, key=lambda name: "__" in name):  # settings before their options
            setting, _, option = name.partition("__")
            if setting not in known or (option and setting not in self.nested_settings):
                raise ValueError(f"{type(self).__name__}.set_params: {name}: unknown{did_you_mean(name, known)}")
            value = params[name]
            if option:
                nested = self.nested_settings[setting].of(values.get(setting, getattr(self, setting)))
                value = nested.replace(**{option: value})
            values[setting] = value
        for name, value in values.items():
            setattr(self, name, value)
        return self

    def facts(self) -> dict[str, Any]:
        """Return figures and words about the fitted estimator by name, for its representation; empty before `fit`."""
        return {}

    def _changed(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults."""
        defaults = self._defaults()
        return {name: value for name, value in self.get_params(deep=False).items() if not same(value, defaults[name])}

    @complete
    def __repr__(self) -> str:
        """Return the constructor's call with the settings that differ from their defaults, then the facts if fitted."""
        facts = ", ".join(figures(self.facts()))
        changed = [f"{name}={_setting(value)}" for name, value in self._changed().items()]
        text = call(type(self).__name__, *changed, longest=max(20, LONGEST - len(facts)))
        return f"<{text} fitted: {facts}>" if facts else text

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the facts and of the settings that differ from their defaults, for notebooks."""
        facts, changed = self.facts(), self._changed()
        caption = f"{type(self).__name__}, {'fitted' if facts else 'not fitted'}"
        return html_table(caption, facts | {f"{name}=": _setting(value) for name, value in changed.items()})

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's description of the estimator. Only scikit-learn calls it, so it is loaded."""
        utils = sys.modules["sklearn.utils"]
        classifies = self.estimator_type == "classifier"
        return utils.Tags(
            estimator_type=self.estimator_type,
            target_tags=utils.TargetTags(required=classifies),
            classifier_tags=utils.ClassifierTags() if classifies else None,
        )


def same(a: Any, b: Any) -> bool:
    """Return whether two settings are equal. Arrays are equal if all their elements are."""
    return type(a) is type(b) and bool(np.array_equal(a, b))


def _setting(value: Any) -> str:
    """Return a setting in one line: an array with its numbers if it has few."""
    return " ".join(repr(value).split()) if isinstance(value, np.ndarray) and value.size <= FEW else brief(value)
