"""A fresh clone of this project is graded: checkpoints and modules that it would lack are named."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest

from tests.inference.grade.conftest import commit, git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


@pytest.fixture
def server(tmp_path):
    """A web server of a folder `hosted`: its url and the folder."""
    folder = tmp_path / "hosted"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


@pytest.fixture
def graded_clone(repository, tmp_path, draw):
    """Return a function that commits the small repository and grades its clone on two images."""
    for i in range(2):
        draw(tmp_path / "p1_data" / "val_50" / f"{i}_45{i}.png")

    def graded_clone():
        ignored = repository.root / ".gitignore"
        if not ignored.exists():
            ignored.write_text("__pycache__\n")  # which the scripts leave
        commit(repository.root)
        run = repository.python("grade", tmp_path / "p1_data", "--clone")
        assert "Traceback" not in run.stderr
        return run.returncode, run.stdout

    return graded_clone


def test_a_script_that_is_a_link_to_what_git_ignores_is_named(repository, graded_clone):
    (repository.root / ".gitignore").write_text("__pycache__\nshared/\n")
    (repository.root / "shared").mkdir()
    script = repository.root / "hw1_1.sh"
    script.rename(repository.root / "shared" / "x.sh")
    script.symlink_to("shared/x.sh")
    status, output = graded_clone()
    assert status == 1 and "hw1_1.sh" in output and "shared/x.sh" in output


def test_a_checkpoint_is_in_git_or_hosted_or_named(repository, graded_clone, server):
    url, hosted = server
    (repository.root / ".gitignore").write_text("__pycache__\nweights/p[12]-small.pth\n")
    record = repository.records["p1"]
    p1, p2 = ({**vars(repository.records[task])} for task in ("p1", "p2"))
    p1["urls"], p2["urls"] = [f"{url}/a%20b.pth"], []
    repository.write_zoo([type(record)(**p1), type(record)(**p2), repository.records["p3"]])
    status, output = graded_clone()
    assert status == 1
    assert (
        f"\ncheckpoint p1-small: weights/p1-small.pth is missing, and no source has it: {url}"
        in output
    )
    assert (
        "\ncheckpoint p2-small: weights/p2-small.pth is not in git, and zoo.json has no url for "
        "it: git add -f weights/p2-small.pth, or host it (docs/hosting.md)\n"
    ) in output
    assert output.count("p3-small") == 0 and "hw1_download_ckpt.sh: exit status 2" in output
    for name, there in (("p1-small.pth", "a b.pth"), ("p2-small.pth", "p2.pth")):
        shutil.copy(repository.root / "weights" / name, hosted / there)
    p2["urls"] = [f"file:{hosted}/p2.pth"]
    repository.write_zoo([type(record)(**p1), type(record)(**p2), repository.records["p3"]])
    _, output = graded_clone()
    assert "\ncheckpoint " not in output and output.splitlines()[1].endswith(" ok")
    assert "note: checkpoint p2-small can only be had from file:" in output


def test_a_module_of_the_package_that_is_not_in_git(repository, graded_clone):
    (repository.root / ".gitignore").write_text("__pycache__\nwindows.py\nconvnet.py\n")
    status, output = graded_clone()
    assert status == 1 and " failed" in output
    for name, user in (("windows", "batches.py"), ("networks/convnet", "networks/__init__.py")):
        [line] = [ln for ln in output.splitlines() if ln.startswith(f"inference/{name}.py is not")]
        assert f"inference/{user} line " in line and f"git add -f inference/{name}.py" in line


@pytest.fixture
def mine(repository):
    """Return a function that makes `mine` P1's default here; git ignores its file."""
    (repository.root / ".gitignore").write_text("__pycache__\nweights/mine.pth\n")

    def mine(**changes):
        shutil.copy(
            repository.root / "weights" / "p1-small.pth", repository.root / "weights/mine.pth"
        )
        zoo = json.loads(repository.zoo.read_text())
        entry = {**zoo["checkpoints"]["p1-small"], "file": "mine.pth", **changes}
        zoo["checkpoints"]["mine"] = entry
        zoo["defaults"]["p1"] = ["mine", "p1-small"]
        repository.zoo.write_text(json.dumps(zoo))

    return mine


def grade_again(repository, tmp_path, *options):
    run = repository.python("grade", tmp_path / "p1_data", *options)
    return run.returncode, run.stdout.splitlines()


def test_a_default_that_was_not_committed_is_a_warning(repository, graded_clone, mine, tmp_path):
    _, output = graded_clone()
    assert "\nanswered by: P1 p1-small\n" in output and "WARNING" not in output
    mine(urls=["https://example.org/mine.pth"])
    status, lines = grade_again(repository, tmp_path, "--clone")
    assert "answered by: P1 p1-small (NOT mine)" in lines and status == 1
    commands = "git add inference/zoo.json && git commit"
    assert [line for line in lines if "WARNING" in line] == [
        f"WARNING: mine, the default here for P1, is not committed: graded was p1-small; {commands}"
    ]
    _, lines = grade_again(repository, tmp_path, "--clone", "--edition", "2024")
    assert not any("WARNING" in line for line in lines)  # it has no such problem


@pytest.mark.parametrize(
    ("changes", "warned"),
    [({"sha256": "0" * 64}, True), ({"tta": True}, True), ({"trained_on": "more"}, False)],
)
def test_a_record_that_was_changed_since_the_commit(
    repository, graded_clone, tmp_path, changes, warned
):
    graded_clone()
    zoo = json.loads(repository.zoo.read_text())
    zoo["checkpoints"]["p1-small"].update(changes)
    repository.zoo.write_text(json.dumps(zoo, indent=4))
    _, lines = grade_again(repository, tmp_path, "--clone")
    warning = (
        "WARNING: the record of p1-small, the default here for P1, is not committed as it is: "
        "graded was the older one; git add inference/zoo.json && git commit"
    )
    assert (warning in lines) is warned
    assert any(line.startswith("note: 1 change is not committed") for line in lines)


@pytest.mark.parametrize("hosted", [False, True])
def test_a_file_that_is_not_hosted_is_told_of_once(
    repository, graded_clone, mine, tmp_path, hosted
):
    mine(urls=[f"file:{tmp_path}/nowhere/mine.pth"] if hosted else [])
    status, output = graded_clone()
    lines = output.splitlines()
    assert status == 1 and "answered by: P1 p1-small (NOT mine)" in lines
    told = [line for line in lines if "mine.pth" in line and not line.startswith("note: ")]
    assert len(told) == 1 and told[0].startswith("checkpoint mine: weights/mine.pth is ")
    assert ("git add -f weights/mine.pth" in told[0]) is not hosted


def test_a_plain_grade_notes_what_a_clone_would_lack(repository, graded_clone, mine, tmp_path):
    lacks = "grader's clone would not have {} (grade --clone shows what it would)"

    def notes(**changes):
        mine(**changes)
        _, lines = grade_again(repository, tmp_path)
        assert "answered by: P1 mine" in lines
        return [line for line in lines if line.startswith("note: ")]

    assert notes() == []  # no checkout
    graded_clone()
    zoo = f"note: inference/zoo.json has changes that are not committed: a {lacks.format('them')}"
    file = f"note: weights/mine.pth is not in git: a {lacks.format('it')}"
    assert notes() == [file]
    assert notes(tta=True) == [zoo, file]
    assert notes(urls=["https://example.org/mine.pth"]) == [zoo]
    (repository.root / ".gitignore").write_text("__pycache__\nweights/\n")
    assert notes() == [file]
    commit(repository.root)
    git(repository.root, "add", "-f", "weights/mine.pth")
    git(repository.root, "commit", "-q", "-m", "All")
    assert notes() == []
    above = tmp_path / "above"  # a folder of a repository
    above.mkdir()
    shutil.rmtree(repository.root / ".git")
    shutil.copytree(repository.root, above / "hw1")
    commit(above)
    repository.root = above / "hw1"
    repository.zoo = above / "hw1" / "inference" / "zoo.json"
    assert notes(tta=True) == [zoo, file]


def test_a_plain_grade_needs_no_git(repository, mine, tmp_path, draw):
    draw(tmp_path / "p1_data" / "val_50" / "0_450.png")
    git(repository.root, "init", "-q")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bash").symlink_to(shutil.which("bash"))
    python = tmp_path / "bin" / "python3"  # no link, which would leave the environment's packages
    python.write_text(f'#!{shutil.which("bash")}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    mine()
    environment = {**os.environ, "PATH": str(tmp_path / "bin"), "PYTHONPATH": ""}
    command = [sys.executable, "-m", "inference", "grade", str(tmp_path / "p1_data")]
    run = subprocess.run(
        command, cwd=repository.root, env=environment, capture_output=True, text=True
    )
    assert "answered by: P1 mine\n" in run.stdout and run.stdout.count("note: ") == 0
    assert "Traceback" not in run.stderr


def test_a_script_that_chooses_its_model_is_not_said_to_be_answered_by_the_default(
    repository, graded_clone, mine, tmp_path
):
    mine()
    script = repository.root / "hw1_1.sh"
    script.write_text(script.read_text().replace("--fill", "--fill --model mine"))
    _, output = graded_clone()
    assert "answered by" not in output
