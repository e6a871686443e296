"""The zoo for `torch.hub`: every checkpoint by its name, with `_` for `-`.

    net = torch.hub.load(".", "p1_a", source="local")

Of a repository on GitHub, `torch.hub.list` shows the names, and `torch.hub.help` what a network
takes and gives. Each clone gives its own networks, whatever else in the process is called
`inference`.
"""

# All names begin with _ but for those that torch.hub is to see.
import contextlib as _contextlib
import importlib.machinery as _machinery
import importlib.util as _util
import os as _os
import sys as _sys
import threading as _threading

dependencies = ["torch", "numpy", "PIL"]

_ROOT = _os.path.dirname(_os.path.abspath(__file__))
_PACKAGE = _os.path.join(_ROOT, "inference", "__init__.py")
_lock = _threading.RLock()
_own = {}  # this clone's modules by name, where another package has their names


def _is_same(path, other):
    try:
        return _os.path.samefile(path, other)
    except (OSError, TypeError):  # not there; a package without a file
        return False


def _loaded():
    return {
        name: module
        for name, module in list(_sys.modules.items())
        if name == "inference" or name.startswith("inference.")
    }


def _is_elsewhere():
    """Whether `import inference` would find another package, were this clone not on the path."""
    there = [path for path in _sys.path if not _is_same(path or ".", _ROOT)]
    found = _machinery.PathFinder.find_spec("inference", there)
    return found is not None and not _is_same(found.origin, _PACKAGE)


def _replace(modules, others):
    for name in modules:
        _sys.modules.pop(name, None)
    _sys.modules.update(others)


@_contextlib.contextmanager
def _this_clone():
    """Makes `inference` this clone's package; afterwards it is again what it was before.

    Where nobody else has the name it stays, as after any import.
    """
    with _lock:
        others = _loaded()
        package = others.get("inference")
        if _is_same(getattr(package, "__file__", None), _PACKAGE):
            yield
            return
        stays = not others and not _own and not _is_elsewhere()
        _replace(others, _own)
        try:
            if "inference" not in _sys.modules:
                _import_package()
            yield
        finally:
            if not stays:
                _own.update(_loaded())
                _replace(_own, others)


def _import_package():
    """Imports `inference` from beside this file, wherever the path leads first."""
    if not _os.path.isfile(_PACKAGE):
        raise ImportError(
            f"no {_PACKAGE}: hubconf.py works in a whole clone of its repository alone"
        )
    spec = _util.spec_from_file_location(
        "inference", _PACKAGE, submodule_search_locations=[_os.path.dirname(_PACKAGE)]
    )
    package = _util.module_from_spec(spec)
    _sys.modules["inference"] = package
    try:
        spec.loader.exec_module(package)
    except BaseException:
        del _sys.modules["inference"]
        raise


def _entry(hub_name, names):
    """Makes the function by which torch.hub gives a checkpoint."""

    def entry(pretrained=True):
        with _this_clone():
            return _network(names, pretrained)

    entry.__name__ = entry.__qualname__ = hub_name
    return entry


def _network(names, pretrained):
    from inference import UserError, zoo

    if len(names) > 1:
        raise UserError(f"{' and '.join(names)} have one name in torch.hub: rename one in zoo.json")
    record = zoo.record(names[0])
    if not pretrained:
        from inference.networks import build

        return build(record.network, record.classes, **record.arguments)
    if not zoo.path(record).is_file():
        from inference.zoo.download import download

        download([record.name])
    return zoo.load(record)


def _describe(record):
    side = f"{record.size}, {record.size}" if record.size else "H, W"
    named = f": {', '.join(record.class_names)}" if record.class_names else ""
    gives = '{"out": logits (N, classes, H, W)}' if record.task == "p3" else "logits (N, classes)"
    return f"""The checkpoint {record.name}: {record.network}, trained on {record.trained_on}.

    Takes float32 (N, 3, {side}), RGB in [0, 1] less the mean {record.mean}, divided by the standard
    deviation {record.std}; gives {gives}, {record.classes} classes{named}.
    `inference.load("{record.name}")` reads image files and answers with classes.

    Args:
        pretrained: fetch the weights if they are missing, verify and load them, for eval mode, or
            fail; False gives the network with random weights, in train mode, to be trained.

    Raises:
        inference.UserError: the weights are damaged, or missing and not to be had.
    """


def _entries():
    """Makes an entry for each of the zoo's names, by what torch.hub calls it."""
    with _this_clone():
        from inference import zoo

        described = {name: _describe(record) for name, record in zoo.records().items()}
    names = {}
    for name in described:
        names.setdefault(name.replace("-", "_"), []).append(name)
    entries = {}
    for hub_name, those in names.items():
        if hub_name in globals() or hub_name.startswith("_"):
            continue  # `dependencies`: publishing refuses what torch.hub could not show
        entries[hub_name] = _entry(hub_name, those)
        entries[hub_name].__doc__ = "\n\n".join(described[name] for name in those)
    return entries


globals().update(_entries())
