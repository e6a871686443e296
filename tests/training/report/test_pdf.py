"""The page as a PDF, by stand-in browsers and by a real one, where there is one."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from inference import UserError
from tests.training.report.conftest import scored, write_run
from training.__main__ import main
from training.publish import zoo_page
from training.report import pdf

# What a browser does, in the words of a shell; $out is the file that it is to write.
PRINTS = r"""printf '%%PDF-1.4\n/Title (A page)\n%%%%EOF\n' > "$out" """
HALF = r"""printf '%%PDF-1.4\n/Title (A page)\n' > "$out"; echo 'no space left' """
FAILS = "echo 'first line'; echo 'GPU process is gone' >&2; exit 3"
CRASHES = "kill -SEGV $$"
OTHER = PRINTS.replace("A page", "file:///index.html")


@pytest.fixture
def page(tmp_path):
    """Return a page in a folder of its own."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<title>A page</title><p>Text")
    return tmp_path / "report" / "index.html"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a browser on PATH, where there is no other."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(pdf, "BROWSERS", [name for name in pdf.BROWSERS if "/" not in name])

    def install(name, does):
        file = tmp_path / "bin" / name
        find = "for word; do case $word in --print-to-pdf=*) out=${word#*=};; esac; done"
        file.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{file}.words'\n{find}\n{does}\n")
        file.chmod(0o755)

    return install


def refused(page, out):
    """Return the line that says why a page is not printed; nothing is left then."""
    with pytest.raises(UserError) as error:
        pdf.print_page(page, out)
    assert os.listdir(page.parent) == ["index.html"]
    said = str(error.value)
    assert f"{out} was not made" in said and f"By hand: open {page} in a browser" in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("name", ["chromium", "google-chrome-stable", "microsoft-edge"])
def test_it_is_printed_by_what_is_installed(page, install, tmp_path, name):
    install(name, PRINTS)
    pdf.print_page(page, tmp_path / "new" / "a.pdf")
    assert (tmp_path / "new" / "a.pdf").read_bytes().startswith(b"%PDF")
    assert os.listdir(page.parent) == ["index.html"]
    words = (tmp_path / "bin" / f"{name}.words").read_text().splitlines()
    assert words[-1] == page.as_uri() and ("--no-sandbox" in words) == (os.geteuid() == 0)
    profile = next(word for word in words if word.startswith("--user-data-dir="))
    assert not Path(profile.partition("=")[2]).exists()


def test_a_stand_in_of_the_system_s_leaves_it_to_the_next(page, install, tmp_path):
    install("chromium-browser", "echo 'snap install chromium'; exit 1")
    install("google-chrome", PRINTS)
    pdf.print_page(page, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").is_file()


@pytest.mark.parametrize(
    "does, said",
    [
        (FAILS, "chromium: it ended with status 3 and said: GPU process is gone"),
        (CRASHES, "chromium: it ended with signal 11"),
        ("exit 0", "chromium: it ended with status 0"),
        (HALF, "chromium: it ended with status 0 and said: no space left"),
        (OTHER, "chromium: it may not read the page"),
        ("printf 'a\\033[0mb\\r\\n' >&2; exit 1", r"said: a\x1b[0mb"),
    ],
)
def test_what_a_browser_that_fails_said_is_told(page, install, tmp_path, does, said):
    install("chromium", does)
    (tmp_path / "a.pdf").write_text("before")
    assert said in refused(page, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_text() == "before"


def test_a_browser_that_hangs_is_ended_with_all_that_it_started(
    page, install, tmp_path, monkeypatch
):
    monkeypatch.setattr(pdf, "PATIENCE", 1)
    install("chromium", f"/bin/sleep 60 & echo $! > '{tmp_path}/child'; wait")
    assert "it had not ended after 1 seconds" in refused(page, tmp_path / "a.pdf")
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    for _ in range(500):  # a signal arrives when the machine has the time
        if not child.exists() or child.read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    else:
        pytest.fail("what the browser started is still there")
    install("chromium", PRINTS + "; /bin/sleep 60")  # it has done its work
    pdf.print_page(page, tmp_path / "a.pdf")


def test_without_a_browser_it_is_said_how_to_print(page, install, tmp_path):
    assert "no Chromium, Chrome or Edge is on PATH" in refused(page, tmp_path / "a.pdf")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Return a function that runs the command of a folder with a run in it."""
    write_run(tmp_path / "runs" / "a", "p1-a", scored(0.5))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zoo_page, "refresh", lambda: [])
    return lambda *words: main(["report", *words])


def test_the_command_leaves_the_page_whatever_becomes_of_the_pdf(command, install, capsys):
    install("chromium", PRINTS)
    assert command("runs", "--pdf", "hw1.pdf") == 0
    assert capsys.readouterr().out == "report/index.html\nhw1.pdf\n"
    install("chromium", FAILS)
    assert command("runs", "--pdf", "other.pdf") == 2
    out, err = capsys.readouterr()
    assert out == "report/index.html\n" and "By hand: open report/index.html" in err
    assert sorted(os.listdir()) == ["bin", "hw1.pdf", "report", "runs"]


@pytest.mark.parametrize(
    ("fonts", "words", "boxes"),
    [
        ("exit 0", "主成分分析", True),
        ("echo 'Noto Sans CJK TC'", "主成分分析", False),
        ("exit 1", "主成分分析", False),  # nothing is known of its fonts
        (None, "主成分分析", False),
        ("exit 0", "Two axes, “naïve”.", False),
    ],
    ids=["no such font", "a font", "no answer", "no fontconfig", "no such words"],
)
def test_words_that_no_font_has_are_told_with_the_package_to_install(
    command, install, capsys, fonts, words, boxes
):
    install("chromium", PRINTS)
    if fonts:
        install("fc-list", fonts)
    Path("notes.md").write_text(f"# P1.5\n\n{words}\n", encoding="utf-8")
    assert command("runs", "--notes", "notes.md", "--pdf", "a.pdf") == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "font" in line]
    assert len(notes) == boxes and all("apt install fonts-noto-cjk" in line for line in notes)
    if fonts and words[0] == "主":
        assert ":charset=4e3b" in Path("bin", "fc-list.words").read_text().split()


def test_a_pdf_that_cannot_be_written_is_refused_before_anything_is(command, capsys):
    Path("notes.md").write_text("Hello.")
    for words, said in {
        ("--pdf", "runs"): "is a folder",
        ("--pdf", "notes.md", "--notes", "notes.md"): "would overwrite the input",
        ("--pdf", "report/index.html"): "are one file",
        ("--pdf", "notes.md/a.pdf"): "is a file",
    }.items():
        assert command("runs", *words) == 2
        assert said in capsys.readouterr().err and not Path("report").exists()


def test_the_command_writes_a_template_and_no_report(command, capsys):
    assert command("--notes-template", "notes.md") == 0
    assert capsys.readouterr().out == "notes.md\n" and not Path("report").exists()
    assert command("--notes-template", "notes.md") == 2
    assert "notes.md is there" in capsys.readouterr().err
    assert command("runs", "--notes-template", "new.md") == 2 and not Path("new.md").exists()
    assert command("runs", "--notes", "notes.md") == 0
    assert "15 headings are still empty" in capsys.readouterr().err
    assert "author’s words go here" not in Path("report/index.html").read_text()


def test_a_real_browser_prints_every_page_with_its_number(report, tmp_path):
    if not any(map(shutil.which, pdf.BROWSERS)):
        pytest.skip("no browser to print with")
    pdf.print_page(report / "index.html", tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert 5 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 40
    with pytest.raises(UserError, match="it may not read the page"):
        pdf.print_page(report / "none.html", tmp_path / "b.pdf")
