"""The local autograder, driven by small shell scripts that answer right, wrong or never.

The validation "images" hold their own label as text (P1, P2) or are their own mask (P3), so that
a few lines of bash can answer: nothing but the scripts would ever decode them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from inference import UserError, landcover
from inference.grade import grade
from tests.inference.grade.conftest import (
    P1_RIGHT,
    P2_RIGHT,
    P2_ROWS,
    P3_RIGHT,
    graded,
)
from tests.processes import has_ended

ROOT = Path(__file__).resolve().parents[3]


def test_right_answers_get_everything(data, scripts, capsys):
    status, table, output = graded(capsys, data, scripts)
    assert status == 0
    assert [row[:3] + row[4:] for row in table] == [
        ["P1", "8", "ok", "1.0000", "0.75", "0.86", "strong"],
        ["P2", "5", "ok", "1.0000", "0.36", "0.40", "strong"],
        ["P3", "3", "ok", "1.0000", "0.69", "0.73", "strong"],
    ]
    assert output.splitlines()[0].split() == (
        "edition problem script images format seconds (of 600) score simple strong verdict".split()
    )
    assert "network: " in output and "baselines: " in output
    assert "sample" not in output and "warning" not in output


def answer_editions(scripts):
    """Scripts that answer by the number of their paths, as every edition calls them."""
    masks = P3_RIGHT.replace(
        "; do n=",
        '; do [[ $f == *_sat.jpg ]] || { n=${f##*/}; cat "$f" > "$2/${n%.jpg}.png"; '
        "continue; }; n=",
    )
    for script, two in (("hw1_1.sh", P1_RIGHT), ("hw1_2.sh", masks)):
        (scripts / script).write_text(f"if [ $# -eq 3 ]; then {P2_RIGHT}; else {two}; fi\n")


@pytest.mark.parametrize(
    ("edition", "expected", "download"),
    [
        ("2022", [["P1", "8", "0.75"], ["P2", "3", "0.69"]], "hw1_download.sh"),
        ("2024", [["P1", "5", "0.36"], ["P2", "3", "0.69"]], "hw1_download_ckpt.sh"),
        ("2025", [["P1", "5", "0.36"], ["P2", "3", "0.69"]], "hw1_download_ckpt.sh"),
    ],
)
def test_every_editions_calls(data, scripts, capsys, edition, expected, download):
    answer_editions(scripts)
    status, table, output = graded(capsys, data, scripts, edition=edition)
    assert [[*row[:2], row[5]] for row in table] == expected
    assert status == 0 and [row[4] for row in table] == ["1.0000", "1.0000"]
    assert f"note: no {download}, which the grader would run first" in output
    (scripts / download).touch()
    assert "note: " not in graded(capsys, data, scripts, edition=edition)[2]


def test_an_edition_tells_its_problems_by_its_own_numbers(data, scripts, capsys):
    (scripts / "hw1_2.sh").write_text("true")
    status, [row], output = graded(capsys, data / "p3_data", scripts, edition="2022")
    assert (status, row[0], row[7]) == (1, "P2", "format")
    assert "P2: 3 of 3 masks are missing, 000.png first" in output


@pytest.mark.parametrize(
    ("edition", "folder", "there", "scripts_of", "others"),
    [
        (
            "2022",
            "p2_data",
            "p2_data/office/val with val.csv, and 2022 had no such problem",
            "hw1_1.sh on p1_data/val_50 and hw1_2.sh on p3_data/validation",
            "2023 or 2024 or 2025",
        ),
        (
            "2024",
            "p1_data",
            "p1_data/val_50, and 2024 and 2025 had no such problem",
            "hw1_1.sh on p2_data/office/val with val.csv and hw1_2.sh on p3_data/validation",
            "2022 or 2023",
        ),
    ],
)
def test_a_problem_that_the_edition_did_not_have(
    data, scripts, edition, folder, there, scripts_of, others
):
    with pytest.raises(UserError) as raised:
        grade(data / folder, scripts=scripts, edition=edition)
    assert str(raised.value) == (
        f"{data / folder} holds {there}, but {scripts_of}: give hw1_data/ or one of those "
        f"folders, or --edition {others}"
    )
    (data / "empty").mkdir()
    with pytest.raises(UserError, match=r"^no validation set in .*: it should hold p"):
        grade(data / "empty", scripts=scripts, edition=edition)


@pytest.mark.parametrize(
    ("wrong", "score", "verdict", "expected"),
    [(1, "0.8750", "strong", 0), (2, "0.7500", "simple", 0), (3, "0.6250", "below simple", 1)],
)
def test_verdict_follows_the_baselines(data, scripts, capsys, wrong, score, verdict, expected):
    # class 1 is in no name, so the first rows are wrong and nothing else is
    spoil = f'sed \'2,{wrong + 1}s/,.*/,1/\' "$2.all" > "$2"; unlink "$2.all"'
    (scripts / "hw1_1.sh").write_text(P1_RIGHT.replace('"$2"', '"$2.all"') + "\n" + spoil)
    status, [row], _ = graded(capsys, data / "p1_data", scripts)
    assert (status, row[2], row[4], row[7]) == (expected, "ok", score, verdict)


@pytest.mark.parametrize(
    ("number", "script", "reason"),
    [
        (1, "true", "P1: no pred.csv was written"),
        (1, f'{P1_RIGHT}; echo >> "$2"', "P1: line 10 is empty"),
        (2, f'(echo id,filename,label; ({P2_ROWS}) | sort -r) > "$3"', "is out of order: "),
        (2, 'cat "$1" > "$3"', "has a label that is no whole number"),
        (
            2,
            f'{P2_RIGHT}; sed "2s/,[0-9]*$/,65/" "$3" > "$3.new"; mv "$3.new" "$3"',
            "has a label outside 0-64",
        ),
        (3, "true", "P3: 3 of 3 masks are missing, 000_mask.png first"),
        (3, f'{P3_RIGHT}; echo > "$2/log"', "P3: 1 files too many in the output folder, log"),
        (3, f'{P3_RIGHT}; cat "$1/000_sat.jpg" > "$2/002_mask.png"', "is 20 x 14 pixels, its "),
    ],
)
def test_wrong_format_is_named(data, scripts, capsys, number, script, reason):
    (scripts / f"hw1_{number}.sh").write_text(script)
    status, [row], output = graded(capsys, data / f"p{number}_data", scripts)
    assert (status, row[2], row[4], row[7]) == (1, "wrong", "-", "format")
    assert reason in output


def test_class_that_is_nowhere_gives_no_score(tmp_path, scripts, capsys):
    folder = tmp_path / "validation"
    folder.mkdir()
    for name in ("0_sat.jpg", "0_mask.png"):
        water = landcover.to_colours(np.full((8, 8), 4, dtype=np.uint8))
        (folder / name).write_bytes(landcover.encode_png(water))
    status, [row], output = graded(capsys, tmp_path, scripts)
    assert (status, row[2], row[7]) == (1, "ok", "no score")
    assert "mean_iou_evaluate.py" in output


def test_script_that_hangs_is_stopped(data, scripts, capsys):
    (scripts / "hw1_1.sh").write_text("sleep 60")
    status, [row], output = graded(capsys, data / "p1_data", scripts, limit_seconds=0.5)
    assert (status, row[2], row[4], row[7]) == (1, "-", "-", "time")
    assert "P1: stopped after 0.5 seconds" in output


def test_failure_shows_the_last_words_and_the_others_go_on(data, scripts, capsys):
    (scripts / "hw1_1.sh").write_text("for i in {1..20}; do echo line-$i >&2; done; exit 3")
    (scripts / "hw1_2.sh").unlink()
    status, table, output = graded(capsys, data, scripts)
    assert status == 1
    assert [row[7] for row in table] == ["failed", "failed", "strong"]
    assert "P1: exit status 3" in output
    assert "line-20\n" in output and "line-5\n" not in output
    assert "there is no " in output and "hw1_2.sh" in output


@pytest.mark.parametrize("place", ['"${0%/*}/weights/p1.pth"', '"${0%/*}/log"', '"$1/log"', "log"])
def test_script_may_write_to_its_output_only(data, scripts, capsys, place):
    (scripts / "hw1_1.sh").write_text(f"{P1_RIGHT}\necho more >> {place}")
    status, [row], output = graded(capsys, data / "p1_data", scripts)
    assert (status, row[4], row[7]) == (1, "1.0000", "format")
    assert "changed meanwhile" in output


def test_forbidden_word_and_needless_words_are_told(data, scripts, capsys):
    (scripts / "hw1_1.sh").write_text(f"{P1_RIGHT}\necho done")
    status, [row], output = graded(capsys, data / "p1_data", scripts)
    assert (status, row[7]) == (0, "strong")
    assert "P1: warning: it should print nothing on standard output, not 'done'" in output
    (scripts / "hw1_1.sh").write_text(f"{P1_RIGHT}\ncd /")
    status, [row], output = graded(capsys, data / "p1_data", scripts)
    assert (status, row[4], row[7]) == (1, "1.0000", "format")
    assert "P1: hw1_1.sh line 2 uses cd, which is forbidden" in output


def test_script_that_imports_from_the_working_folder_fails(data, scripts, capsys):
    (scripts / "hw1_1.sh").write_text("python3 -c 'import inference'")
    status, [row], output = graded(capsys, data / "p1_data", scripts)
    assert (status, row[7]) == (1, "failed")
    assert "inference was imported from the working folder" in output


def test_table_says_whether_the_network_was_cut(data, scripts, capsys, monkeypatch):
    monkeypatch.setattr("inference.grade.network_cutter", lambda: [])
    assert "network: NOT cut" in graded(capsys, data / "p1_data", scripts)[2]
    monkeypatch.setattr("inference.grade.network_cutter", lambda: ["env"])
    assert (
        "network: cut while the scripts ran (env)" in graded(capsys, data / "p1_data", scripts)[2]
    )


def test_sample_data_is_said_to_be_sample_data(data, scripts, capsys, monkeypatch):
    (data / "SAMPLE_DATA.json").write_text("{}")
    monkeypatch.chdir(data)
    for place in (data, data / "p2_data", Path("p2_data")):
        assert "data: generated samples" in graded(capsys, place, scripts)[2]


def test_imported_data_is_said_to_be_imported(data, scripts, capsys):
    for part, source in (("p1_data", "CIFAR-10"), ("p2_data/office", "Office-Home, Art")):
        (data / part / "DATA.json").write_text(json.dumps({"source": source}))
    output = graded(capsys, data, scripts)[2]
    assert "data: P1 is CIFAR-10; P2 is Office-Home, Art: not the course's own images" in output
    assert "data: " not in graded(capsys, data / "p3_data", scripts)[2]


def test_interrupt_leaves_nothing_behind(data, scripts, tmp_path):
    (scripts / "hw1_1.sh").write_text(f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    (tmp_path / "tmp").mkdir()
    code = "import sys; from inference.grade import grade; grade(sys.argv[1], scripts=sys.argv[2])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(data), str(scripts)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        stderr=subprocess.DEVNULL,
    )
    for _ in range(500):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"):
            break
        time.sleep(0.02)
    assert any((tmp_path / "tmp").iterdir())
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    assert not any((tmp_path / "tmp").iterdir())
    pid = int((tmp_path / "pid").read_text())
    for _ in range(500):  # a signal arrives when the machine has the time
        if has_ended(pid):
            break
        time.sleep(0.02)
    assert has_ended(pid)


def test_no_room_for_temporary_files_is_one_line(data, scripts, monkeypatch):
    def full(*_, **__):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    with pytest.raises(
        UserError, match=r"^no place for temporary files: No usable temporary .*set TMPDIR"
    ):
        grade(data, 60, scripts)


def test_a_full_folder_of_temporary_files_is_one_line(data, scripts, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inference.grade.problems.shutil.copyfile", full)
    with pytest.raises(UserError, match=r"^no room for temporary files: No space left"):
        grade(data, 60, scripts)
