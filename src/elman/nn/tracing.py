"""Registration of modules with PyTorch's compiler, which otherwise breaks the graph at each `torch.nn.LSTM`.

The compiler refuses instances of `torch.nn.RNN`, `LSTM` and `GRU`, subclasses included, because it would unroll them
over time. Modules of `elman.nn` are one operator. A setting of the compiler, `allow_rnn`, would admit PyTorch's classes
as well, so it is set only while the compiler reads a module of `elman.nn`.
"""

import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

BUILDER = "torch._dynamo.variables.builder"  # has a table of functions that read values of certain types

_traceable: list[type] = []


def trace(kind: type) -> None:
    """Let the compiler trace modules of this class. This does not load the compiler, which takes a second or two."""
    _traceable.append(kind)
    if BUILDER in sys.modules:
        _register(sys.modules[BUILDER])


def _register(builder: ModuleType) -> None:
    """Add the classes to the compiler's table; without such a table, it breaks the graph as it does at `torch.nn`."""
    find = getattr(getattr(builder, "VariableBuilder", None), "_type_dispatch", None)
    if find is not None:
        find().update(dict.fromkeys(_traceable, _read))


def _read(builder: Any, module: Any) -> Any:
    """Read a module as the compiler reads those of other classes."""
    config = sys.modules["torch._dynamo"].config
    with config.patch(allow_rnn=True):
        return builder.wrap_module(module)


class _WhenLoaded(MetaPathFinder):
    """Finder that registers the classes as soon as the compiler is imported."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != BUILDER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


if BUILDER not in sys.modules:
    sys.meta_path.insert(0, _WhenLoaded())
