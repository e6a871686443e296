"""Importing torch, which takes longer than predicting some folders, while images are read."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import sys
from pathlib import Path

from inference import UserError


def import_torch(freeze: bool = False) -> None:
    """Import torch faster than a plain `import` while threads read images.

    The garbage collector rests: it would go through the hundred thousands of objects that torch
    makes, again and again, and find nothing. And the threads are not held up.

    Args:
        freeze: let the collector never look at what is there by then. For a command, whose process
            is its own: a library's caller would keep its own garbage for ever.

    Raises:
        UserError: its libraries cannot be loaded: memory is limited, or the installation broken.
    """
    if "torch" in sys.modules:
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        _load_libraries()
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise
    except (ImportError, OSError) as error:
        raise UserError(
            f"cannot load torch: {' '.join(str(error).split())}; is memory limited (ulimit -v), or "
            "the installation damaged?"
        ) from error
    finally:
        if freeze:
            gc.freeze()
        if collecting:
            gc.enable()


def _load_libraries() -> None:
    """Load torch's libraries, as its import does, but without Python's global lock.

    Half a gigabyte and its relocations take a third of a second, in which an import lets no other
    thread run. In torch's own order and modes; without those that hold Python code. What cannot be
    loaded so, `import torch` loads in its own way.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        torch = importlib.util.find_spec("torch")  # without importing it
        places = torch.submodule_search_locations if torch else None
        folder = Path(next(iter(places or ()))) / "lib"
        load = ctypes.CDLL(None).dlopen  # ctypes.CDLL(file) would hold the lock
    except (AttributeError, ImportError, OSError, StopIteration, TypeError, ValueError):
        return
    load.argtypes, load.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    load(os.fsencode(folder / "libtorch_global_deps.so"), os.RTLD_NOW | os.RTLD_GLOBAL)
    load(os.fsencode(folder / "libtorch.so"), os.RTLD_NOW | os.RTLD_LOCAL)
