"""What the page says of small runs, and where it says that something is missing."""

import dataclasses
import html
import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from inference import UserError
from tests.training.report.conftest import (
    P1_NUMBERS,
    P1_PICTURES,
    P3_NUMBERS,
    P3_PICTURES,
    made,
    scored,
    write_figures,
    write_run,
)
from training.problems import PROBLEMS, RECIPES
from training.report import groups
from training.report.html import NO_BREAK
from training.report.page import make_report
from training.report.sections import questions


@pytest.fixture(scope="module")
def sections(report):
    """Return the text of each question's section, without its tags."""
    return sections_of((report / "index.html").read_text())


def sections_of(page):
    parts = re.split(r'<section><h3 id="([^"]+)">', page)[1:]
    return {
        name: re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", text))).replace(
            NO_BREAK, " "
        )
        for name, text in zip(parts[::2], parts[1::2])
    }


def test_every_question_is_answered_in_its_order(sections):
    assert list(sections)[: len(questions())] == list(questions())
    for question in questions().values():
        assert question.title in sections[question.number]


def test_seeds_are_one_row_with_their_spread(sections):
    assert ".8500 ± .0500 (n = 3)" in sections["P1.2"]
    assert sections["P1.2"].count("p1-a") == 1
    assert "500 1,234 images, 10 classes 1.5 CPU, x86_64, 2 cores" in sections["P1.2"]
    assert "classes=10" in sections["P1.2"]
    assert ".5000 (one run)" in sections["P3.3"]


def test_what_has_no_run_says_so_with_its_command(sections):
    assert "No run of p1-b yet." in sections["P1.2"]
    assert "python -m training fit p1-b --data hw1_data/p1_data" in sections["P1.2"]
    assert "python -m training fit p3-b --data hw1_data/p3_data" in sections["P3.3"]
    assert "p2-byol-s0 has not ended: 2 of 7 epochs are done." in sections["P2.1"]


def test_the_recipe_is_the_one_that_ran(sections):
    assert "as run, seeds 0, 1, 2" in sections["P1.3"] and "10 outputs" in sections["P1.3"]
    assert "TrivialAugment" in sections["P1.3"] and "not run yet" in sections["P1.3"]
    assert "as it runs, seed 0" in sections["P2.1"] and "256 images, 7 epochs" in sections["P2.1"]


def test_the_table_of_settings_is_the_one_on_disk(sections):
    assert "C p2-c self-supervised all .500 (n = 1) .451 to .548" in sections["P2.2"]
    assert "+10.0 +5.0 to +15.0 yes" in sections["P2.2"]
    assert "Accuracy on the 406 images." in sections["P2.2"]


def test_the_numbers_of_the_pictures_are_said(sections):
    assert "50.0% and 25.0% of the variance of 4 dimensions" in sections["P1.5"]
    assert "epoch 1: 25.0%, epoch 4: 75.0%" in sections["P1.6"]
    assert "Water 0.5000" in sections["P3.5"] and "Barren land absent" in sections["P3.5"]


def test_masks_of_the_small_network_stand_in_for_model_b(sections):
    for number in ("P3.2", "P3.4", "P3.5"):
        assert "No run of p3-b yet. In its place: p3-lite , a recipe for CPUs." in sections[number]
    assert "p3-lite-s0" in sections["P3.4"] and "The small network" not in sections["P3.5"]


def test_a_recipe_for_cpus_stands_in_for_model_a(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("p1-a-lite", "p1-b-lite"):
        write_run(tmp_path / "runs" / name, name, scored(0.75))
    found = sections_of(made(Path("report"), Path("runs")))
    for number in ("P1.1", "P1.5", "P1.6", "P1.7"):
        assert "No run of p1-a yet. In its place: p1-a-lite , a recipe for CPUs." in found[number]
    assert "p1-a-lite" in found["P1.3"] and "p1-b-lite" not in found["P1.3"]
    trained = found["P1.4"].split("How it is trained")[1]
    assert "p1-b-lite" in trained and "p1-a-lite" not in trained


def test_notes_go_to_their_places_and_the_others_are_marked(report, sections):
    page = (report / "index.html").read_text()
    assert "<b>axes" not in page and "Two <b>axes</b>." in sections["P1.5"]
    assert "More Below." in sections["P1.5"]
    assert "The author’s words go here" not in sections["P1.5"]
    assert "The author’s words go here: what changes" in sections["P1.6"]
    assert "Ada, b0123" in page and "Before all." in page


def test_every_run_is_listed_with_its_command(sections):
    listed = sections["runs"]
    for name in ("p1-a-s0", "p1-a-s2", "p3-lite-s0", "p2-compare/p2-c-s0"):
        assert name in listed
    assert "python -m training fit p1-a seed=2" in sections["again"]
    assert "--name Ada --student b0123" in sections["again"]


def test_pictures_are_beside_the_page_and_nothing_is_fetched(report):
    page = (report / "index.html").read_text()
    sources = re.findall(r'<img src="([^"]+)" alt="([^"]*)"', page)
    assert len(sources) >= 9 and all(alt for _, alt in sources)
    assert all((report / source).is_file() for source, _ in sources)
    assert not re.search(r'(src|href)="(https?:)?//', page) and "<script" not in page


def test_without_any_run_every_question_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = made(Path("report"))
    assert all(f'id="{question.number}"' in page for question in questions().values())
    assert page.count(">no run yet<") == 5 + 5 and "<img" not in page
    beyond = page.split('<h3 id="P2.3">')[1].split("</section>")[0]
    assert "No run of <code>p2-byol</code> yet." in beyond
    with pytest.raises(UserError, match="no folder elsewhere: give the folder that holds the runs"):
        made(Path("other"), Path("elsewhere"))
    write_run(tmp_path / "runs" / "a", "p1-a")
    with pytest.raises(UserError, match="is a run: give the folder that holds it"):
        made(Path("other"), Path("runs/a"))
    assert not Path("other").exists()


def test_settings_are_compared_without_a_backbone_that_the_data_lacks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs, data = tmp_path / "runs", tmp_path / "none" / "p2_data"  # of made(tmp_path, ...)
    run = write_run(runs / "p2-a-s0", "p2-a", scored(0.5))
    every = "compare --data none/p2_data --seeds 0 1 2"
    some = "compare p2-a p2-c p2-e --data none/p2_data --seeds 0 1 2"
    option = "-s0/best.pth --backbone-sl none/p2_data/pretrain_model_SL.pt"

    def with_supervised():
        page = made(tmp_path, runs)
        assert (every in page) == (option in page) != (some in page)
        return every in page

    assert with_supervised()  # the data is elsewhere, and nothing says that it is not the course's
    data.mkdir(parents=True)
    assert not with_supervised()
    (data / "pretrain_model_SL.pt").touch()
    assert with_supervised()
    shutil.rmtree(data)
    shutil.rmtree(run)
    write_run(run, "p2-a", scored(0.5, provenance="sample data"))
    assert not with_supervised()


def test_problems_without_a_run_are_left_out_unless_the_author_says_something(tmp_path):
    write_run(tmp_path / "runs" / "a", "p1-a", scored(0.5))
    page = made(tmp_path / "out", tmp_path / "runs")
    assert "There is no run of P2 and P3 yet." in page and 'id="P1"' in page
    assert not any(f'id="{name}"' in page or f"<strong>{name}: " in page for name in ("P2", "P3"))
    missing = re.findall("No run of <code>([^<]+)</code>", page)
    assert missing and all(name.startswith("p1-") for name in missing)
    (tmp_path / "notes.md").write_text("# P2.1\n\n# P3.1\nTrained elsewhere.\n")
    author = "", "", tmp_path / "notes.md", "made", print
    file = make_report(tmp_path / "runs", tmp_path / "out", tmp_path, *author)
    page = file.read_text()
    assert "There is no run of P2 yet." in page and 'id="P3.1"' in page and 'id="P2.1"' not in page


def test_commands_name_the_data_of_the_runs_and_no_folder_of_one_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed = f"python -m training fit p1-a --data {tmp_path}/mine/p1 pretrained=/far/away/b.pth"
    result = scored(0.5, data=f"{tmp_path}/my own/p1", command=typed)
    run = write_run(tmp_path / "runs" / "a", "p1-a", result)
    write_figures(run / "figures", P1_NUMBERS, P1_PICTURES)
    write_run(tmp_path / "runs" / "b", "p3-lite", scored(0.5, data="/far/away/p3"))
    write_figures(tmp_path / "runs" / "b" / "figures", P3_NUMBERS, P3_PICTURES)
    command = f"python -m training report {tmp_path}/runs --pdf=/far/a.pdf"
    author = "", "", None, command, print
    page = make_report(Path("runs"), Path("out"), Path("hw1_data"), *author).read_text()
    said = html.unescape(page)
    assert "fit p1-b --data 'my own/p1'" in said
    assert "fit p3-b --data hw1_data/p3_data" in said
    assert "python -m training fit p1-a --data mine/p1 pretrained=.../b.pth" in said
    assert "python -m training report runs --pdf=.../a.pdf" in said
    assert str(tmp_path) not in page and "/far" not in page


def test_what_runs_and_authors_write_is_text(tmp_path):
    evil = "<script>alert(1)</script>"
    result = scored(0.5, command=evil, revision=evil, device=f"A {evil}", precision=evil)
    run = write_run(tmp_path / "runs" / "<b>a", "p1-a", result, arguments={"<i>": evil})
    write_run(tmp_path / "runs" / "b&b", "p2-byol", pretrained=evil)
    page = make_report(run.parent, tmp_path, run, evil, evil, None, evil, print).read_text()
    assert "<script" not in page and "<b>" not in page and "<i>" not in page
    assert page.count("&lt;script&gt;") >= 8 and "b&amp;b" in page


def test_pictures_of_runs_with_odd_names_are_found(tmp_path):
    runs = tmp_path / "runs"
    write_run(runs / "p1 #1 50%?", "p1-a", scored(0.5))
    page = made(tmp_path / "out", runs)
    sources = re.findall(r'<img src="([^"]+)"', page)
    assert sources and all((tmp_path / "out" / unquote(source)).is_file() for source in sources)
    assert not any(sign in source for source in sources for sign in " #?")


def test_runs_that_differ_in_more_than_the_seed_are_apart(tmp_path):
    write_run(tmp_path / "one", "p1-a", scored(0.5), seed=1, save_every=5)
    write_run(tmp_path / "two", "p1-a", scored(0.6), seed=0)
    write_run(tmp_path / "long", "p1-a", scored(0.7), epochs=999)
    write_run(tmp_path / "more", "p1-a", scored(0.8, trained_on=9))
    found = groups.find(tmp_path, PROBLEMS).groups["p1-a"]
    names = [[run.name for run in group.runs] for group in found]
    assert names == [["long"], ["two", "one"], ["more"]]
    changes = {group.runs[0].name: group.changes for group in found}
    assert changes == {"two": [], "long": ["epochs=999"], "more": []}


def test_a_trial_does_not_stand_for_a_model(tmp_path):
    runs = tmp_path / "runs"
    for seed, val, count, epochs, day in (
        (0, 0.028, 3000, 2, 1),
        (1, 0.022, 300, 1, 3),
        (7, 0.9, 150, 2, 4),
        (2, 0.8, 3000, 1, 5),
        (3, 0.7, None, 9, 6),
    ):
        result = scored(val, trained_on=count, finished=f"2024-05-0{day}T00:00:00+00:00")
        if count is None:
            del result["trained_on"]
        write_run(runs / f"p1-a-s{seed}", "p1-a", result, seed=seed, epochs=epochs)
    write_run(runs / "p1-a-s8", "p1-a", seed=8, epochs=900)
    page = made(tmp_path / "out", runs)
    head = page.split("</header>")[0]
    assert f".0280{NO_BREAK}(one" in head and "3,000 images" in head and ".9000" not in head
    rule = "Where a recipe has several finished runs, those trained on the most images stand for it"
    assert rule in head and rule in page.split('<h3 id="P1.2">')[1].split("</section>")[0]

    (tmp_path / "chosen").mkdir()  # as docs/training.md has it
    (tmp_path / "chosen" / "p1-a-s7").symlink_to(runs / "p1-a-s7")
    head = made(tmp_path / "other", tmp_path / "chosen").split("</header>")[0]
    assert f".9000{NO_BREAK}(one" in head and ".0280" not in head


def test_runs_on_other_data_are_apart_though_it_has_as_many_images(tmp_path):
    for name, val, seed, provenance, key in (
        ("course", 0.7, 1, None, "1"),
        ("sample", 0.9, 0, "sample data", "1"),
        ("half", 0.5, 2, None, "2"),
    ):
        result = scored(val, provenance=provenance)
        folder = write_run(tmp_path / name, "p1-a", result, seed=seed)
        (folder / "data.json").write_text(json.dumps({"folder": "/there", "key": key}))
    found = groups.find(tmp_path, PROBLEMS).groups["p1-a"]
    assert sorted(group.score[:5] for group in found) == [".5000", ".7000", ".9000"]
    assert [g.data.endswith("generated sample data") for g in found].count(True) == 1


def test_a_seed_counts_once_and_its_copy_is_listed(tmp_path):
    write_run(tmp_path / "p2-a-s0", "p2-a", scored(0.4), seed=0)
    write_run(tmp_path / "p2-a-s1", "p2-a", scored(0.6), seed=1)
    write_run(tmp_path / "p2-compare" / "p2-a-s0", "p2-a", scored(0.4), seed=0)
    found = groups.find(tmp_path, PROBLEMS)
    (group,) = found.groups["p2-a"]
    assert [run.score for run in group.runs] == [0.4, 0.6]
    names = sorted(found.name(run) for run in found.finished)
    assert names == ["p2-a-s0", "p2-a-s1", "p2-compare/p2-a-s0"]


def test_a_problem_of_which_the_page_knows_nothing_has_its_line(tmp_path, monkeypatch):
    toy = dataclasses.replace(PROBLEMS["p1"], name="toy", metric="cheer", recipes={
        "toy-a": dataclasses.replace(RECIPES["p1-a"], name="toy-a", problem="toy"),
    }, baselines=None, evaluate=None, figures=None)  # fmt: skip
    monkeypatch.setitem(PROBLEMS, "toy", toy)
    for seed, score in enumerate((0.25, 0.75)):
        write_run(tmp_path / "runs" / f"t{seed}", "toy-a", scored(score), seed=seed)
    page = made(tmp_path / "out", tmp_path / "runs")
    others = page.split('<h3 id="others">')[1].split("</section>")[0].replace(NO_BREAK, " ")
    assert "cheer" in others and "toy-a" in others and ".5000 ± .3536 (n = 2)" in others
