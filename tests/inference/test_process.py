"""How a command's process begins and ends: torchrun's report, streams, locales, limits."""

import os
import subprocess
import sys

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

LINE = (
    "error: cannot read the folder gone: No such file or directory; give the folder of the images"
)


@pytest.mark.parametrize("rank, printed", [(0, [LINE]), (1, [])])
def test_torchrun_shows_an_error_in_its_report(
    run_here, small_zoo, tmp_path, monkeypatch, rank, printed
):
    left = tmp_path / "error.json"
    for name, value in {"TORCHELASTIC_ERROR_FILE": left, "RANK": rank, "WORLD_SIZE": 1}.items():
        monkeypatch.setenv(name, str(value))
    assert run_here("classify", "gone", tmp_path / "out.csv") == (2, printed)
    failure = ProcessFailure(local_rank=rank, pid=1, exitcode=2, error_file=str(left))
    report = str(ChildFailedError("inference", {rank: failure}))
    assert f"traceback : {LINE}\n" in report


def test_a_report_that_cannot_be_left_is_printed_by_every_process(
    run_here, small_zoo, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "gone" / "error.json"))
    monkeypatch.setenv("RANK", "1")
    assert run_here("classify", "gone", tmp_path / "out.csv") == (2, [LINE])


# Streams


def listed(pristine, line, **environment):
    """Run `list` as a line of bash says, where "$@" stands for it."""
    command = [sys.executable, "-m", "inference", "list"]
    return pristine.shell(line, *command, cwd=pristine.root, env={**os.environ, **environment})


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("option", ["", "--help"])
def test_a_reader_that_goes_away_is_no_error(pristine, unbuffered, option):
    line = f'"$@" {option} | true; exit ${{PIPESTATUS[0]}}'
    done = listed(pristine, line, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("to, why", [("/dev/full", "No space left"), ("&-", "it is closed")])
def test_a_table_that_nobody_gets_is_no_success(pristine, to, why):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    done = listed(pristine, f'"$@" >{to}')
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: cannot write to standard output: {why}")


def test_without_docstrings(pristine, small_images, tmp_path):
    command = [sys.executable, "-OO", "-m", "inference", "classify", small_images, tmp_path / "o"]
    done = subprocess.run([*map(str, command)], cwd=pristine.root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "o").read_text().count("\n") == 38


# Limits


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ulimit -v is Linux's")
@pytest.mark.parametrize("kilobytes", [100_000, 300_000])
def test_an_address_space_too_small_for_torch_is_one_line(
    pristine, small_images, tmp_path, kilobytes
):
    line = f'ulimit -v {kilobytes}; exec bash hw1_1.sh "$@"'
    done = pristine.shell(line, small_images, tmp_path / "out.csv", cwd=pristine.root)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ") and not os.listdir(tmp_path)


# Names in a locale that is not UTF-8


@pytest.fixture(scope="session")
def locales(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locales")
    try:
        for source, charmap in (("en_US", "ISO-8859-1"), ("zh_TW", "BIG5")):
            command = ["localedef", "-i", source, "-f", charmap, folder / f"{source}.{charmap}"]
            subprocess.run(command, capture_output=True)
    except OSError:
        pass
    if not os.listdir(folder):
        pytest.skip("no localedef here")
    return folder


NAMES = ["漢é".encode(), b"\xba\x7e\xff", b"\xa2\xcc"]  # UTF-8, none, one that Big5 has twice


@pytest.mark.parametrize(
    "locale, by_script", [("en_US.ISO-8859-1", True), ("zh_TW.BIG5", True), ("zh_TW.BIG5", False)]
)
def test_names_are_written_as_the_file_system_has_them(
    pristine, locales, draw, tmp_path, locale, by_script
):
    image = draw(tmp_path / "0.png", (48, 48)).read_bytes()
    environment = {"LOCPATH": str(locales), "LC_ALL": locale, "PYTHONUTF8": "0"}
    environment["PYTHONPATH"] = str(pristine.root)
    (tmp_path / "in").mkdir()
    for name in NAMES:
        with open(os.fsencode(tmp_path / "in") + b"/" + name + b"_sat.png", "wb") as stream:
            stream.write(image)
    names = [name + b"_sat.png" for name in NAMES] + [NAMES[0] + b".gone"]
    (tmp_path / "in.csv").write_bytes(b"id,filename\n" + b"".join(b"0,%s\n" % n for n in names))

    def run(script, command, *places):
        run = pristine.run if by_script else pristine.python
        first = [script] if by_script else [command, "--fill"]
        done = run(*first, *places, cwd=tmp_path, env=environment, text=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert run("hw1_1.sh", "classify", "in", "1.csv") == b""
    rows = (tmp_path / "1.csv").read_bytes().splitlines()[1:]
    assert sorted(row.split(b",")[0] for row in rows) == sorted(names[:-1])
    (line,) = run("hw1_2.sh", "classify-csv", "in.csv", "in", "2.csv").splitlines()
    assert b"/" + names[-1] + b": No such file" in line
    rows = (tmp_path / "2.csv").read_bytes().splitlines()[1:]
    assert [row.split(b",")[1] for row in rows] == names
    run("hw1_3.sh", "segment", "in", "out")
    masks = os.listdir(os.fsencode(tmp_path / "out"))
    assert sorted(masks) == sorted(name + b"_mask.png" for name in NAMES)
