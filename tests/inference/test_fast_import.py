"""Importing torch quickly gives the same torch."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT = f"""
import gc, sys
sys.path.insert(0, {str(ROOT)!r})
from inference.fast_import import import_torch
import_torch()
assert gc.isenabled()
import_torch()
"""


def python(code, *path):
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {list(map(str, path))}{code}"]
    return subprocess.run(command, capture_output=True, text=True)


def test_torch_is_there_and_computes():
    done = python(IMPORT + "import torch; print(torch.ones(3, 3).mm(torch.ones(3, 3)).sum())")
    assert (done.stdout, done.stderr, done.returncode) == ("tensor(27.)\n", "", 0)


def test_a_command_lets_the_collector_rest_on_what_torch_has_made():
    code = IMPORT.replace("import_torch()\nassert", "import_torch(freeze=True)\nassert")
    done = python(code + "print(gc.get_freeze_count() > 10_000)")
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_torch_without_the_usual_libraries_is_imported_all_the_same(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("print('its own way')")
    done = python(IMPORT, tmp_path)
    assert (done.stdout, done.stderr) == ("its own way\n", "")
    (tmp_path / "torch" / "lib").mkdir()
    (tmp_path / "torch" / "lib" / "libtorch.so").write_text("no library")
    assert python(IMPORT, tmp_path).stdout == "its own way\n"


def test_an_import_that_fails_is_a_users_error_and_leaves_the_collector_on(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: failed to map')")
    code = IMPORT.replace("import_torch()\nassert", "try: import_torch()\nexcept Exception as e:")
    code = code.replace(" gc.isenabled()\nimport_torch()", " print(repr(e), gc.isenabled())")
    said = python(code, tmp_path).stdout
    assert said.startswith("UserError('cannot load torch: libtorch.so: failed to map; is memory")
    assert said.endswith(" True\n") and said.count("\n") == 1
