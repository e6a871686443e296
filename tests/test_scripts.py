"""The graded scripts as a grader runs them: whole processes, from other working folders."""

import csv
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference import landcover

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(ROOT.glob("hw1_*.sh"))
FORBIDDEN = "rm sudo cp mv mkdir cd pip CUDA_VISIBLE_DEVICES wget".split()
# Reports, by Python's own audit events, every write, process and connection of the process.
WITNESS = """
import os, sys
LOG = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_APPEND)
def witness(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        told = changes and path not in (os.environ["WITNESS"], "/dev/null")
    else:
        told = event in ("os.mkdir", "os.rename", "os.remove", "os.chmod",
                         "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec",
                         "socket.connect", "socket.getaddrinfo", "socket.bind")
        path = arguments[1] if event == "os.rename" else arguments[0]
    if told:
        os.write(LOG, f"{event} {path}\\n".encode())
sys.addaudithook(witness)
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A working folder with somebody else's `inference/` and `torch.py`."""
    folder = tmp_path / "some folder"
    for decoy in ("inference/__init__.py", "inference/__main__.py", "torch.py", "PIL.py", "csv.py"):
        path = folder / decoy
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"raise SystemExit('{decoy} is not ours')\n")
    return folder


@pytest.fixture
def here(small_images, tiles, photos, elsewhere):
    """The data, copied below that folder, so that it can be named relative to it."""
    shutil.copytree(small_images, elsewhere / "p1 images")
    shutil.copytree(tiles, elsewhere / "p3 images")
    shutil.copytree(photos[0].parent, elsewhere / "p2 data")
    return elsewhere


def answers(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def in_silence(process):
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


# Their text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_uses_python_and_builtins_only(script):
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n") and "\r" not in text
    for word in FORBIDDEN:
        assert word not in text, f"a naive search for {word!r} finds it"
    commands = [line for line in text.splitlines() if line and not line.startswith("#")]
    for command in commands:
        start = r'(here=|task=|\[ |case \$here in |exec python3 -X utf8 "|\. ")'
        assert re.match(start, command), command
        assert "`" not in command and " | " not in command
        assert command.count("$(") == command.count("$(python3 ")


def test_they_are_executable():
    assert len(SCRIPTS) == 5
    assert all(os.access(script, os.X_OK) for script in SCRIPTS)


# What they are given


@pytest.mark.parametrize("pythonpath", ["", ":", "."])
def test_problem_1_with_relative_paths(pristine, here, small_images, pythonpath):
    environment = {"PYTHONPATH": pythonpath, "PYTHONWARNINGS": "error"}
    run = pristine.run("hw1_1.sh", "p1 images/", "new folder/out.csv", cwd=here, env=environment)
    in_silence(run)
    lines = (here / "new folder" / "out.csv").read_text().splitlines()
    assert lines[0] == "filename,label"
    assert [line.split(",")[0] for line in lines[1:]] == sorted(os.listdir(small_images))
    assert all(re.fullmatch(r"\d{4}\.png,\d+", line) for line in lines[1:])
    assert os.listdir(here / "new folder") == ["out.csv"]


def test_problem_2(pristine, here):
    data = here / "p2 data"
    run = pristine.run("hw1_2.sh", data / "test.csv", f"{data}/img/", "out.csv", cwd=here)
    in_silence(run)
    asked, found = answers(data / "test.csv"), answers(here / "out.csv")
    assert found[0] == ["id", "filename", "label"]
    assert [row[:2] for row in found] == [row[:2] for row in asked]
    assert all(0 <= int(row[2]) < 65 for row in found[1:])


@pytest.mark.parametrize("script", ["hw1_3.sh", "hw1_2.sh"])  # problem 2 of 2022 has two arguments
def test_problem_3(pristine, here, script):
    run = pristine.run(script, "p3 images", "masks/", cwd=here, env={"PYTHONWARNINGS": "error"})
    in_silence(run)
    assert sorted(os.listdir(here / "masks")) == [f"{i:04}_mask.png" for i in range(5)]
    for path in (here / "p3 images").glob("*_sat.jpg"):
        mask = here / "masks" / path.name.replace("_sat.jpg", "_mask.png")
        with Image.open(path) as image, Image.open(mask) as drawn:
            assert drawn.size == image.size and drawn.mode == "RGB"
            assert (landcover.to_indices(np.asarray(drawn)) < 7).all()


def test_problem_1_of_2024_has_three_paths(pristine, here):
    data = here / "p2 data"
    for script, out in (("hw1_1.sh", "new.csv"), ("hw1_2.sh", "old.csv")):
        run = pristine.run(script, data / "test.csv", f"{data}/img/", f"out/{out}", cwd=here)
        in_silence(run)
    assert (here / "out" / "new.csv").read_bytes() == (here / "out" / "old.csv").read_bytes()
    assert answers(here / "out" / "new.csv")[0] == ["id", "filename", "label"]


def test_names_of_2022(pristine, here):
    for path in (here / "p3 images").iterdir():
        path.rename(path.with_name(path.name.replace("_sat", "").replace("_mask", "")))
    in_silence(pristine.run("hw1_2.sh", "p3 images", "masks", cwd=here))
    assert sorted(os.listdir(here / "masks")) == [f"{i:04}.png" for i in range(5)]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("hw1_1.sh", ["p1 images", "OUT", "--weights", "FILE"]),
        ("hw1_1.sh", ["--weights=FILE", "p1 images", "--tta", "OUT"]),
        ("hw1_2.sh", ["p3 images", "OUT", "--weights", "FILE"]),
        ("hw1_2.sh", ["--tta", "p3 images", "OUT"]),
        ("hw1_1.sh", ["p1 images", "OUT", "--probabilities", "all.csv"]),
        ("hw1_3.sh", ["p3 images", "--html", "page.html", "OUT"]),
        ("hw1_1.sh", ["p2 data/test.csv", "p2 data/img", "OUT", "--model", "p2-small"]),
        ("hw1_2.sh", ["p2 data/test.csv", "--", "p2 data/img", "OUT"]),
    ],
)
def test_options_are_not_counted(pristine, here, script, arguments):
    weights = "p3-small.pth" if "p3 images" in arguments else "p1-small.pth"
    shutil.copy(pristine.root / "weights" / weights, here / "my weights")
    given = [text.replace("FILE", "my weights").replace("OUT", "out") for text in arguments]
    in_silence(pristine.run(script, *given, cwd=here))
    assert (here / "out").is_dir() == ("p3 images" in arguments)


def test_from_the_repositorys_root(pristine, small_images, tmp_path):
    line = 'exec bash hw1_1.sh "$@"'
    run = pristine.shell(line, small_images, tmp_path / "out.csv", cwd=pristine.root)
    in_silence(run)
    assert len(answers(tmp_path / "out.csv")) == 38


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("linked", ["", "absolute", "relative", "twice"])
def test_by_a_plain_shell_and_by_a_link(pristine, here, shell, linked):
    script = pristine.root / "hw1_1.sh"
    if linked:
        target = os.path.relpath(script, here) if linked == "relative" else script
        (here / "link.sh").symlink_to(target)
        script = here / "link.sh"
    if linked == "twice":
        (here / "again.sh").symlink_to("link.sh")
        script = "again.sh"  # without a slash
    run = pristine.shell('exec "$@"', shell, script, "p1 images", "out.csv", cwd=here)
    in_silence(run)
    assert len(answers(here / "out.csv")) == 38


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_by_a_plain_shell_and_a_link(pristine, here, script):
    (here / "link.sh").symlink_to(pristine.root / script.name)
    run = pristine.shell("exec sh link.sh --help", cwd=here)
    assert run.returncode == 0 and run.stdout.startswith("usage: "), run.stderr


def test_nothing_is_touched_but_the_output(pristine, small_images, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITNESS)
    (tmp_path / "seen").write_text("")
    (tmp_path / "home").mkdir()
    environment = {
        "PYTHONPATH": str(tmp_path / "site"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "WITNESS": str(tmp_path / "seen"),
        "HOME": str(tmp_path / "home"),
    }
    run = pristine.run("hw1_1.sh", small_images, tmp_path / "out" / "o.csv", env=environment)
    in_silence(run)
    seen = (tmp_path / "seen").read_text().splitlines()
    assert any(line.startswith("os.rename") for line in seen)  # the witness was awake
    torchs_own = "subprocess.Popen /sbin/ldconfig"  # importing it looks for libraries
    assert [s for s in seen if s != torchs_own and f" {tmp_path / 'out'}" not in s] == []
    assert os.listdir(tmp_path / "home") == [] and os.listdir(tmp_path / "out") == ["o.csv"]


# What comes back


def test_an_error_is_one_line_and_exit_2(pristine, here):
    run = pristine.run("hw1_1.sh", "absent", "out.csv", cwd=here)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("error: cannot read the folder absent: ")
    assert run.stderr.count("\n") == 1 and not (here / "out.csv").exists()


TABLE, FOLDER = "TABLE.csv IMG_DIR OUT.csv", "IMG_DIR OUT_DIR"


@pytest.mark.parametrize(
    ("script", "counts", "forms"),
    [
        ("hw1_1.sh", (0, 1, 4), ["IMG_DIR OUT.csv", TABLE]),
        ("hw1_2.sh", (0, 1, 4), [TABLE, FOLDER]),
        ("hw1_3.sh", (0, 1, 3), [FOLDER]),
    ],
)
def test_a_wrong_number_of_paths_gets_every_form_in_one_line(pristine, here, script, counts, forms):
    for count in counts:
        given = ["p1 images", "a", "b", "c"][:count]
        run = pristine.run(script, *given, "--device", "cpu", cwd=here)
        assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
        assert run.stderr.startswith(f"error: {script} was given {count} path")
        assert all(f"bash {script} {text} (" in run.stderr for text in forms)
    run = pristine.run(script, "--help", cwd=here)
    assert run.returncode == 0 and all(f"bash {script} {text} " in run.stdout for text in forms)
    run = pristine.run(script, "p1 images", "out", "--device", cwd=here)
    assert run.returncode == 2 and "expected one argument" in run.stderr
    assert not {"a", "b", "c", "out"} & set(os.listdir(here))


def test_a_broken_image_costs_itself_only(pristine, here):
    (here / "p1 images" / "0003.png").write_text("no picture")
    run = pristine.run("hw1_1.sh", here / "p1 images", here / "out.csv", cwd=here)
    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr.splitlines() == [
        f"warning: cannot read {here}/p1 images/0003.png: not an image; it gets class 0"
    ]
    assert answers(here / "out.csv")[4] == ["0003.png", "0"]
    run = pristine.python("classify", here / "p1 images", here / "other.csv", cwd=pristine.root)
    assert run.returncode == 3 and answers(here / "other.csv")[4] == ["0003.png", "-1"]


def test_a_bug_is_a_traceback(repository, small_images, tmp_path):
    with (repository.root / "inference" / "predict.py").open("a") as file:
        file.write("\n\ndef forward(*_):\n    raise AssertionError('ours')\n")
    run = repository.run("hw1_1.sh", small_images, tmp_path / "out.csv")
    assert run.returncode == 1 and run.stderr.endswith("AssertionError: ours\n")
    assert not (tmp_path / "out.csv").exists()


def test_standard_output_may_be_the_output(pristine, small_images):
    run = pristine.run("hw1_1.sh", small_images, "/dev/stdout")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("filename,label\n0000.png,") and run.stdout.count("\n") == 38


def test_streams_that_the_caller_closed(pristine, here):
    (here / "p1 images" / "0003.png").write_text("no picture")
    line = 'exec bash "$@" <&- >&- 2>&-'
    script, images = pristine.root / "hw1_1.sh", here / "p1 images"
    run = pristine.shell(line, script, images, here / "out.csv", cwd=here)
    in_silence(run)
    assert len(answers(here / "out.csv")) == 38


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("stderr", ["/dev/full", ">(exec true)"])
def test_a_stderr_that_takes_nothing(pristine, here, stderr):
    (here / "p1 images" / "0003.png").write_text("no picture")  # there is a warning to write
    script, images = pristine.root / "hw1_1.sh", here / "p1 images"
    run = pristine.shell(f'exec bash "$@" 2> {stderr}', script, images, here / "out.csv")
    in_silence(run)
    assert len(answers(here / "out.csv")) == 38


def test_a_working_folder_that_is_gone(pristine, tmp_path):
    (tmp_path / "gone").mkdir()
    line = 'cd "$1" && rmdir "$1" && shift && exec bash "$@" 2>&1'
    script, absent = pristine.root / "hw1_1.sh", tmp_path / "absent"
    run = pristine.shell(line, tmp_path / "gone", script, absent, tmp_path / "out.csv")
    assert run.returncode == 2
    assert run.stdout.splitlines()[-1].startswith(f"error: cannot read the folder {absent}: ")


# Downloading


@pytest.mark.parametrize("script", ["hw1_download.sh", "hw1_download_ckpt.sh"])
def test_what_is_there_is_left_alone(pristine, elsewhere, script):
    before = {path: path.stat().st_mtime_ns for path in (pristine.root / "weights").iterdir()}
    run = pristine.run(script, cwd=elsewhere)
    assert run.returncode == 0
    assert [line.split(":")[0] for line in run.stderr.splitlines()] == [
        "p1-small",
        "p2-small",
        "p3-small",
    ]
    run = pristine.run(script, "p2-small", cwd=elsewhere)
    assert run.returncode == 0 and run.stderr.startswith("p2-small: ")
    after = {path: path.stat().st_mtime_ns for path in (pristine.root / "weights").iterdir()}
    assert before == after
