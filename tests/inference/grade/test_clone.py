"""A fresh clone is graded: what was not committed or hosted fails here, and is named in a line."""

import os
import shutil
import venv

import pytest

from inference import UserError
from inference.grade import grade
from tests.inference.grade.conftest import P1_RIGHT, commit, git, graded

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


@pytest.fixture
def committed(scripts):
    """The scripts, the download script too, as a repository in which all is committed."""
    (scripts / "hw1_download_ckpt.sh").write_text("echo fetched >&2\n")
    commit(scripts)
    return scripts


@pytest.fixture
def findings(data, committed, capsys):
    """Return a function that grades P1 of a clone: the exit status, the verdict, the lines."""

    def findings(after=None):
        if after:
            after()
        status, rows, output = graded(capsys, data / "p1_data", committed, clone=True)
        lines = output.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("clone: commit "))
        end = next(i for i, line in enumerate(lines) if line.startswith("network: "))
        return status, rows[-1][-1], lines[start + 1 : end]

    return findings


def test_what_is_committed_gets_everything(data, committed, capsys):
    before = sorted(committed.rglob("*"))
    status = grade(data, scripts=committed, clone=True)
    output = capsys.readouterr().out
    lines = output.splitlines()
    assert status == 0 and [line.split()[-1] for line in lines[2:5]] == ["strong"] * 3
    assert lines[1].split()[:4] == ["2023", "-", "hw1_download_ckpt.sh", "-"]
    assert lines[1].split()[-1] == "ok"
    assert "clone: commit " in output and "What is handed in, of " in output
    assert "note: " not in output and str(committed) + "-" not in output
    assert [p for p in sorted(committed.rglob("*")) if ".git" not in p.parts] == [
        p for p in before if ".git" not in p.parts
    ]


def test_what_was_not_committed_is_not_run(findings, committed):
    (committed / "hw1_1.sh").write_text("exit 3")
    (committed / "new.txt").touch()
    status, verdict, lines = findings()
    assert (status, verdict) == (0, "strong")
    assert lines == ["note: 2 changes are not committed, and so not handed in: hw1_1.sh, new.txt"]


def test_a_script_that_is_not_in_git(findings, committed):
    git(committed, "rm", "-q", "--cached", "hw1_1.sh")
    git(committed, "commit", "-q", "-m", "less")
    status, verdict, lines = findings()
    assert (status, verdict) == (1, "failed")
    assert lines[0] == "hw1_1.sh is not in git, and the grader runs it: git add hw1_1.sh"


@pytest.mark.parametrize("call", ['"${0%/*}/p1.py"', '"${0%/*}/mine"', "-m mine"])
def test_modules_that_are_not_in_git_are_named_with_who_wants_them(findings, committed, call):
    folder = committed if "p1" in call else committed / "mine"
    folder.mkdir(exist_ok=True)
    main = folder / ("p1.py" if "p1" in call else "__main__.py")
    main.write_text("import os\nimport nets.deep\nfrom extra import thing\n")
    (folder / "nets").mkdir()
    for name in ("nets/__init__.py", "nets/deep.py", "extra.py"):
        (folder / name).write_text("thing = 1\n")
    prefix = "" if folder == committed else "mine/"
    if call == "-m mine":  # modules are looked for at the root
        for name in ("nets", "extra.py"):
            (folder / name).rename(committed / name)
        prefix = ""
    (committed / "hw1_1.sh").write_text(
        f'PYTHONPATH="${{0%/*}}" python3 {call} || exit 1\n{P1_RIGHT}'
    )
    (committed / ".gitignore").write_text("# big files\nextra*\n")
    commit(committed)
    git(committed, "rm", "-q", "--cached", f"{prefix}nets/deep.py")
    git(committed, "commit", "-q", "-m", "less")
    status, verdict, lines = findings()
    name = main.relative_to(committed)
    assert (status, verdict) == (1, "failed")
    assert sorted(lines[:2]) == [
        f"{prefix}extra.py is not in git, since line 2 of .gitignore leaves it out, and {name} "
        f"line 3 imports it: git add -f {prefix}extra.py",
        f"{prefix}nets/deep.py is not in git, and {name} line 2 imports it: "
        f"git add {prefix}nets/deep.py",
    ]


def test_a_file_that_only_the_script_knows_of(findings, committed):
    (committed / ".gitignore").write_text("*.pth\n*.json\n")
    (committed / "best.pth").touch()
    (committed / "settings.json").write_text("{}")
    code = "import sys; open(sys.argv[1] + '/settings' + '.json')"
    (committed / "hw1_1.sh").write_text(f': best.pth; python3 -c "{code}" "${{0%/*}}"')
    status, verdict, lines = findings(lambda: commit(committed))
    assert (status, verdict) == (1, "failed")
    assert any("best.pth is not in git, since line 1 of .gitignore" in line for line in lines)
    assert any("settings.json is not in git, since line 2 of .gitignore" in line for line in lines)


def test_a_download_brings_what_is_not_in_git(findings, committed):
    (committed / ".gitignore").write_text("*.pth\n")
    (committed / "best.pth").touch()
    (committed / "hw1_1.sh").write_text(f': < "${{0%/*}}/best.pth" || exit 1; {P1_RIGHT}')
    download = committed / "hw1_download_ckpt.sh"
    download.write_text('echo x > "${0%/*}/best.pth"')
    assert findings(lambda: commit(committed)) == (0, "strong", [])
    download.write_text("echo no such file >&2; exit 4")
    status, _, lines = findings(lambda: commit(committed))
    assert status == 1 and "hw1_download_ckpt.sh: exit status 4" in lines
    assert "hw1_download_ckpt.sh:     no such file" in lines
    download.unlink()
    status, _, lines = findings(lambda: commit(committed))
    assert lines[0] == "note: no hw1_download_ckpt.sh in git, which the grader would run first"


def test_what_lies_on_this_machine_helps_no_script(
    data,
    committed,
    capsys,
    monkeypatch,
    tmp_path,
):
    look = (
        'printf "%s|" "$HW1_MIRROR" "${PYTHONPATH#*:}" "$GIT_DIR" "${TORCH_HOME##*/}" >&2; exit 1'
    )
    (committed / "hw1_1.sh").write_text(look)
    commit(committed)
    monkeypatch.setenv("HW1_MIRROR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{committed}{os.pathsep}{tmp_path}")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    grade(data / "p1_data", scripts=committed, clone=True)
    assert f"    |{tmp_path}||TORCH_HOME|\n" in capsys.readouterr().out


def test_what_is_installed_from_the_working_tree_helps_no_script(
    data, committed, capsys, monkeypatch, tmp_path
):
    finder = (
        "import importlib.util, sys\n"
        "class _EditableFinder:\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        f"        file = {str(committed)!r} + '/' + name + '.py'\n"
        "        if name == 'lost':\n"
        "            return importlib.util.spec_from_file_location(name, file)\n"
        "sys.meta_path.append(_EditableFinder)\n"
    )
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "installed.py").write_text(finder)
    (committed / "lost.py").touch()
    (committed / ".gitignore").write_text("lost.py\n")
    (committed / "p1.py").write_text("import lost\n")
    (committed / "hw1_1.sh").write_text(f'python3 "${{0%/*}}/p1.py" || exit 1\n{P1_RIGHT}')
    commit(committed)
    venv.create(tmp_path / "venv", symlinks=True)
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "installed.pth").write_text(f"{tmp_path}/site\nimport installed\n{committed}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/venv/bin{os.pathsep}{os.environ['PATH']}")
    assert grade(data / "p1_data", scripts=committed) == 0
    capsys.readouterr()
    assert grade(data / "p1_data", scripts=committed, clone=True) == 1
    output = capsys.readouterr().out
    assert "No module named 'lost'" in output
    assert "lost.py is not in git, since line 1 of .gitignore leaves it out" in output


def test_the_rules_for_repositories(findings, committed):
    (committed / "hw1_data" / "p1_data" / "val_50").mkdir(parents=True)
    (committed / "hw1_data" / "p1_data" / "val_50" / "0_450.png").write_bytes(b"1" * 500_000)
    (committed / "tiles").mkdir()
    (committed / "tiles" / "0013_sat.jpg").touch()
    (committed / "runs.zip").touch()
    with (committed / "weights" / "big.pth").open("wb") as file:
        file.truncate(50_000_001)
    (committed / "weights" / "link.pth").symlink_to("/mnt/disk/link.pth")
    (committed / "hw1_download_ckpt.sh").write_text("wget --version\nmkdir -p x\n")
    (committed / "hw1_2.sh").write_text('python3 "$here/mnt/x.py" > /tmp/log # /home/me/x\n')
    (committed / "p1.py").write_text(
        '"""/home/me/docs"""\nA = "/home/me/p1.pth"\n'
        'B = f"{A}/home/x" + "/mnt/x"\nC = "/proc/x/y"\n'
    )
    (committed / "hw1_1.sh").write_text(f"# p1.py\n: p1.py\n{P1_RIGHT}")
    status, verdict, lines = findings(lambda: commit(committed))
    assert (status, verdict) == (1, "strong")
    lacks = ", which a grader's machine lacks"
    assert sorted(line for line in lines if "exit status" not in line) == sorted(
        [
            "hw1_download_ckpt.sh line 2 uses mkdir, which is forbidden",
            f"p1.py line 2 has the absolute path '/home/me/p1.pth'{lacks}",
            f"hw1_2.sh line 1 has the absolute path '/tmp/log'{lacks}",
            "data is committed in hw1_data/ (1 file, 0.5 MB): git rm -r --cached hw1_data",
            "data is committed in tiles/ (1 file, 0.0 MB): git rm -r --cached tiles",
            "the archive runs.zip is committed: git rm --cached runs.zip",
            "weights/big.pth has 50.0 MB, above the 50 MB that a repository may hold: host it "
            "(docs/hosting.md)",
            "weights/link.pth is a link to /mnt/disk/link.pth, which no clone has",
        ]
    )


def test_a_submodule_and_commits_that_are_not_pushed(findings, committed, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(committed), "hosted.git")
    git(committed, "remote", "add", "origin", str(tmp_path / "hosted.git"))
    git(committed, "push", "-q", "-u", "origin", "HEAD")
    allow = ("-c", "protocol.file.allow=always")
    git(committed, *allow, "submodule", "add", "-q", str(tmp_path / "hosted.git"), "theirs")
    status, _, lines = findings(lambda: commit(committed))
    assert status == 1
    assert "theirs is a submodule, which a plain clone leaves empty" in lines
    assert "note: 1 commit is not pushed: git push" in lines


def test_scripts_in_a_folder_of_a_repository(data, committed, capsys, tmp_path):
    shutil.rmtree(committed / ".git")
    above = tmp_path / "above"
    above.mkdir()
    committed.rename(above / "hw1")
    commit(above)
    assert grade(data / "p1_data", scripts=above / "hw1", clone=True) == 0
    git(above, "rm", "-q", "-r", "--cached", "hw1")
    git(above, "commit", "-q", "-m", "less")
    assert grade(data / "p1_data", scripts=above / "hw1", clone=True) == 1
    assert "hw1_1.sh is not in git, and the grader runs it" in capsys.readouterr().out


def test_no_checkout_no_commit_no_git(data, scripts, monkeypatch):
    with pytest.raises(UserError, match=r"is no git checkout: .*, or grade without --clone$"):
        grade(data, scripts=scripts, clone=True)
    git(scripts, "init", "-q")
    with pytest.raises(UserError, match=r"^nothing is committed in .* yet: .* without --clone$"):
        grade(data, scripts=scripts, clone=True)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"^no git here: install it, or grade without --clone$"):
        grade(data, scripts=scripts, clone=True)
