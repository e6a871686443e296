"""What the page says of small runs, and where it says that something is missing."""

import html
import json
import re
from pathlib import Path

import pytest

from tests.training.report.conftest import scored, write_run
from training.publish import zoo_page
from training.report import __main__ as command
from training.report import runs as found_runs
from training.report.questions import QUESTIONS


@pytest.fixture(scope="module")
def sections(report):
    """Gives the text of each question's section, without its tags."""
    page = (report / "index.html").read_text()
    parts = re.split(r'<section><h3 id="([^"]+)">', page)[1:]
    return {
        name: re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", text))).replace(
            found_runs.NO_BREAK, " "
        )
        for name, text in zip(parts[::2], parts[1::2])
    }


def test_every_question_is_answered_in_its_order(sections):
    assert list(sections)[: len(QUESTIONS)] == [question.number for question in QUESTIONS]
    for question in QUESTIONS:
        assert question.title in sections[question.number]


def test_seeds_are_one_row_with_their_spread(sections):
    assert ".8500 ± .0500 (n = 3)" in sections["P1.2"]
    assert sections["P1.2"].count("p1-a") == 1
    assert "500 1,234 images, 10 classes 1.5 CPU, x86_64, 2 cores" in sections["P1.2"]
    assert "classes=10" in sections["P1.2"]
    assert ".5000 (one run)" in sections["P3.3"]


def test_what_has_no_run_says_so_with_its_command(sections):
    assert "No run of p1-b yet." in sections["P1.2"]
    assert "python -m training.classification p1-b --data hw1_data/p1_data" in sections["P1.2"]
    assert "python -m training.segmentation p3-b --data hw1_data/p3_data" in sections["P3.3"]
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
    assert "No run of p3-b yet." in sections["P3.4"] and "p3-lite-s0" in sections["P3.4"]


def test_notes_go_to_their_places_and_the_others_are_marked(report, sections):
    page = (report / "index.html").read_text()
    assert "<b>axes" not in page and "Two <b>axes</b>." in sections["P1.5"]
    assert "More Below." in sections["P1.5"]
    assert "The author’s words go here" not in sections["P1.5"]
    assert "The author’s words go here: what changes" in sections["P1.6"]
    assert "Ada, b0123" in page and "Before all." in page


def test_every_run_is_listed_with_its_command(sections):
    listed = sections["runs"]
    for name in ("p1-a-s0", "p1-a-s2", "p3-lite-s0", "p2-table/p2-c-s0"):
        assert name in listed
    assert "python -m training.classification p1-a seed=2" in sections["again"]
    assert "--name Ada --student b0123 --notes" in sections["again"]


def test_pictures_are_beside_the_page_and_nothing_is_fetched(report):
    page = (report / "index.html").read_text()
    sources = re.findall(r'<img src="([^"]+)" alt="([^"]*)"', page)
    assert len(sources) >= 9 and all(alt for _, alt in sources)
    assert all((report / source).is_file() for source, _ in sources)
    assert not re.search(r'(src|href)="(https?:)?//', page) and "<script" not in page


def test_without_any_run_every_question_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(zoo_page, "refresh", list)
    assert command.main([]) == 0
    page = Path("report/index.html").read_text()
    assert all(f'id="{question.number}"' in page for question in QUESTIONS)
    assert page.count("no run yet") == 5 + 5 and "<img" not in page
    beyond = page.split('<h3 id="P2.3">')[1].split("</section>")[0]
    assert "No run of <code>p2-byol</code> yet." in beyond
    assert command.main(["elsewhere"]) == 2
    assert "no folder elsewhere" in capsys.readouterr().err


def test_runs_that_differ_in_more_than_the_seed_are_apart(tmp_path):
    write_run(tmp_path / "one", "p1-a", scored(0.5), seed=1, every=5)
    write_run(tmp_path / "two", "p1-a", scored(0.6), seed=0)
    write_run(tmp_path / "long", "p1-a", scored(0.7), epochs=999)
    write_run(tmp_path / "more", "p1-a", scored(0.8, trained_on=9))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{")
    found = found_runs.find(tmp_path)
    names = [[entry.name for entry in group.entries] for group in found.groups["p1-a"]]
    assert names[0] == ["two", "one"] and sorted(names[1:]) == [["long"], ["more"]]
    assert len(found.problems) == 1 and "broken" in found.problems[0]


def test_runs_on_other_data_are_apart_though_it_has_as_many_images(tmp_path):
    for name, val, seed, more in (
        ("course", 0.7, 1, {"origin": None}),
        ("sample", 0.9, 0, {"origin": "sample data"}),
        ("half", 0.5, 2, {"origin": None}),
    ):
        write_run(tmp_path / name, "p1-a", scored(val, **more), seed=seed)
        key = {"course": "1", "sample": "1", "half": "2"}[name]
        (tmp_path / name / "data.json").write_text(json.dumps({"folder": "/there", "key": key}))
    groups = found_runs.find(tmp_path).groups["p1-a"]
    assert sorted(group.scores[0] for group in groups) == [0.5, 0.7, 0.9]
    (tmp_path / "half" / "data.json").write_text("{")
    assert "cannot read" in found_runs.find(tmp_path).problems[0]


def test_a_seed_counts_once_and_its_copy_is_listed(tmp_path):
    write_run(tmp_path / "p2-a-s0", "p2-a", scored(0.4), seed=0)
    write_run(tmp_path / "p2-a-s1", "p2-a", scored(0.6), seed=1)
    write_run(tmp_path / "p2-table" / "p2-a-s0", "p2-a", scored(0.4), seed=0)
    found = found_runs.find(tmp_path)
    (group,) = found.groups["p2-a"]
    assert group.scores == [0.4, 0.6]
    names = sorted(entry.name for entry in found.finished())
    assert names == ["p2-a-s0", "p2-a-s1", "p2-table/p2-a-s0"]


def test_what_a_run_says_of_its_data_is_not_what_lies_there_today(tmp_path, monkeypatch):
    monkeypatch.setattr(found_runs, "is_sample_data", lambda _: True)
    told = write_run(tmp_path / "told", "p1-a", scored(0.5, origin=None))
    untold = write_run(tmp_path / "untold", "p1-a", scored(0.5))
    words = [found_runs.data_in_words(found_runs.read(run, "a")) for run in (told, untold)]
    assert "sample" not in words[0] and words[1].endswith("generated sample data")
