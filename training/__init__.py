"""Training: recipes, runs, published and exported checkpoints, generated and imported data.

May import `inference`, which never imports this package.
"""

import os
import sys


def _say_what_is_missing(kind, error, trace):
    """Name a package that a command needs in one line; anything else is a bug of ours."""
    own = ("training", "inference")
    if not issubclass(kind, ModuleNotFoundError) or (error.name or "").partition(".")[0] in own:
        return sys.__excepthook__(kind, error, trace)
    print(
        f"error: this Python has no {error.name}: `source .venv/bin/activate` "
        "(scripts/quickstart.sh makes it), or `pip install -e '.[train]'`",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)  # a hook cannot choose the status; whatever had to end did, on the error's way here


# So argv begins while `python -m training...` is looked up: who imports us keeps his own hook.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _say_what_is_missing
