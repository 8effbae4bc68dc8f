"""The classes that a model file may name: those that were registered here, and some of scikit-learn's."""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from cvbow.storage import _scikit_learn
from cvbow.storage.learned import check_learned

T = TypeVar("T", bound=type)

_ATTRIBUTE = re.compile(r"[^\W\d]\w{0,99}")
#: `set_output` is how one script wants to see its results; restored, "pandas" would import pandas. The names of a data
#: frame's columns are part of that.
_NEVER_STORED = ("_sklearn_output_config", "feature_names_in_")
_CLASSES: dict[str, type[Any]] = {}


def storable(cls: T) -> T:
    """Let model files hold objects of a class; may stand above the class as a decorator.

    A file names a class of cvbow by its room, ``cvbow.features.HarrisDetector``, and any other by its module,
    ``my_parts.MyDetector``. Only a process in which the class is registered loads such a file, and it imports no module
    for it but cvbow's own. A class that reaches compiled code with what it has learned should refuse, in its
    ``check_state``, what that code would not survive.
    """
    _CLASSES[_name(cls)] = cls
    return cls


def find_class(name: str) -> type[Any]:
    """Return the class that a file names.

    Raises
    ------
    ValueError
        If a file must not hold it, or it is not registered, or the scikit-learn that is installed does not have it.
    """
    package, _, rest = name.partition(".")
    if name not in _CLASSES and package == "cvbow" and rest.partition(".")[0] in _rooms():
        importlib.import_module(f"cvbow.{rest.partition('.')[0]}")
    if name in _CLASSES:
        return _CLASSES[name]
    shown = ascii(name)[:80]  # what comes from a file is shown short and in ASCII, so that it cannot steer a terminal
    if name in _scikit_learn.CHECKS:
        module, _, attribute = name.rpartition(".")
        try:
            found: type[Any] = vars(importlib.import_module(module))[attribute]
        except (ImportError, KeyError) as error:
            raise ValueError(f"is a {name}, which is not available here: {error}") from error
        return found
    if package in ("cvbow", "sklearn"):
        raise ValueError(f"is of the class {shown}, which a model file must not hold")
    raise ValueError(
        f"is of the class {shown}, which is not registered: import the module that registers it "
        "(on the command line, --import MODULE)"
    )


def stored_name(cls: type) -> str | None:
    """Return the name by which a file holds a class; None where it must not."""
    name = _name(cls)
    try:
        return name if find_class(name) is cls else None
    except ValueError:
        return None


def name_in_version_1(name: str) -> str:
    """Return the present name of a class for the one in a file of format version 1, which named modules in rooms."""
    package, *rest = name.split(".")
    if package != "cvbow" or len(rest) < 2:
        return name
    if name == "cvbow.images.ImageAugmenter":
        return "cvbow.augmentation.ImageAugmenter"
    return f"cvbow.{rest[0]}.{rest[-1]}"


def transient(cls: type[Any]) -> Mapping[str, Any]:
    """Attributes of a class that belong to a run and not to the model, with the value that is stored instead."""
    if cls.__module__.startswith("sklearn."):
        return _scikit_learn.TRANSIENT
    # A class from outside cvbow need not say.
    declared: Mapping[str, Any] = getattr(cls, "transient", {})
    return declared


def added(cls: type[Any]) -> Mapping[str, Any]:
    """Parameters that a class did not always have, with the values that files without them mean."""
    # A class from outside cvbow, or of scikit-learn, need not say.
    declared: Mapping[str, Any] = getattr(cls, "added", {})
    return declared


def left_out(cls: type) -> Collection[str]:
    """Attributes of a class that are never stored, whatever they hold."""
    if cls.__module__.startswith("sklearn."):
        return (*_NEVER_STORED, *_scikit_learn.LEFT_OUT.get(_name(cls), ()))
    # A class from outside cvbow need not say.
    declared: Collection[str] = getattr(cls, "unstored", ())
    return (*_NEVER_STORED, *declared)


def build_object(cls: type[Any], attributes: Mapping[str, Any]) -> Any:
    """Build an object from its attributes, without its constructor; ValueError where its state is impossible."""
    result: Any = object.__new__(cls)
    vars(result).update(attributes)
    check_state(result)
    return result


def check_state(built: object) -> None:
    """Raise ValueError where an object's state is one that its class does not promise: what is loaded has to pass."""
    cls = type(built)
    if cls.__module__.startswith("sklearn."):
        _scikit_learn.check_state(_name(cls), vars(built))
        _scikit_learn.check_params(built)
        return
    # A class from outside cvbow need not say.
    check_learned(getattr(cls, "learned", {}), vars(built))
    if hasattr(cls, "check_state"):
        cls.check_state(built)


def check_attribute(name: str, cls: type) -> None:
    """ValueError for a name that must not stand in an object's ``__dict__``: no name at all, or one of its methods."""
    found = inspect.getattr_static(cls, name, None)
    if not _ATTRIBUTE.fullmatch(name) or name.startswith("__") or callable(found) or hasattr(type(found), "__get__"):
        raise ValueError(f"{cls.__name__} cannot have the attribute {ascii(name)[:80]}")


def is_cache(name: str, cls: type) -> bool:
    """Tell whether an attribute is what a ``cached_property`` has left behind: found anew when it is needed."""
    return isinstance(inspect.getattr_static(cls, name, None), functools.cached_property)


def _name(cls: type) -> str:
    module = cls.__module__.split(".")
    if module[0] == "cvbow":
        module = module[:2]
    elif module[0] == "sklearn":
        module = list(itertools.takewhile(lambda part: not part.startswith("_"), module))
    return ".".join([*module, cls.__qualname__])


@functools.cache
def _rooms() -> frozenset[str]:
    """Names of cvbow's own packages: all that is imported because a file says so."""
    found = pkgutil.iter_modules(importlib.import_module("cvbow").__path__)
    return frozenset(module.name for module in found if module.ispkg)
