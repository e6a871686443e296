"""The zoo's tables in print, and the check that they are fresh."""

import json
import shutil

import pytest

from inference import UserError
from training import __main__ as command
from training.publish import zoo_page


@pytest.fixture
def place(pristine, tmp_path, monkeypatch):
    """Return a repository's root with a small zoo and a README with markers."""
    (tmp_path / "inference").mkdir()
    shutil.copy(pristine.zoo, tmp_path / "inference")
    (tmp_path / "README.md").write_text("before\n\n<!-- zoo -->\nold\n<!-- /zoo -->\n\nafter\n")
    monkeypatch.setattr(zoo_page, "ROOT", tmp_path)
    return tmp_path


def test_stale_tables_are_named_and_refreshed(place, capsys):
    assert command.main(["report", "--check"]) == 1
    said = capsys.readouterr().err
    assert "docs/zoo.md" in said and "README.md" in said and "python -m training report" in said
    assert zoo_page.refresh() == ["docs/zoo.md", "README.md"]
    assert command.main(["report", "--check"]) == 0 and zoo_page.refresh() == []
    assert capsys.readouterr().out == "docs/zoo.md and README.md say what inference/zoo.json says\n"
    readme = (place / "README.md").read_text()
    assert readme.startswith("before\n\n<!-- zoo -->\n| name |") and "old" not in readme
    assert readme.endswith("<!-- /zoo -->\n\nafter\n") and "| `p3-small` | p3 |" in readme


def test_a_change_of_the_zoo_makes_them_stale(place):
    zoo_page.refresh()
    zoo = json.loads((place / "inference" / "zoo.json").read_text())
    record = zoo["checkpoints"]["p1-small"]
    record["scores"] = {"metric": "accuracy", "fp32": 0.5, "images": 1000, "select": "val"}
    record["urls"] = ["gdrive:ID"]
    (place / "inference" / "zoo.json").write_text(json.dumps(zoo))
    assert zoo_page.stale() == ["docs/zoo.md", "README.md"]
    zoo_page.refresh()
    line = next(
        line for line in (place / "docs/zoo.md").read_text().splitlines() if "p1-small`" in line
    )
    assert "accuracy 0.5000 (1,000 images, which chose the epoch)" in line and "gdrive" in line


def test_a_readme_without_markers_is_named(place):
    (place / "README.md").write_text("nothing\n")
    with pytest.raises(UserError, match="<!-- zoo -->"):
        zoo_page.refresh()
    assert "## p1-small" in (place / "docs" / "zoo.md").read_text()  # which has its own
    assert (place / "README.md").read_text() == "nothing\n"


def test_a_readme_that_is_not_utf_8_is_named(place):
    (place / "README.md").write_bytes("作業".encode("big5"))
    with pytest.raises(UserError, match=r"README.md: it is not UTF-8"):
        zoo_page.refresh()


def test_scores_that_somebody_wrote_down_in_part(place):
    zoo = json.loads((place / "inference" / "zoo.json").read_text())
    zoo["checkpoints"]["p1-small"]["scores"] = {"fp32": 0.5}
    (place / "inference" / "zoo.json").write_text(json.dumps(zoo))
    zoo["checkpoints"]["p2-small"]["scores"] = {"fast": None}
    zoo["checkpoints"]["p3-small"]["scores"] = {"fast": {"cpu-bf16": {}}}
    (place / "inference" / "zoo.json").write_text(json.dumps(zoo))
    found = [row[6] for row in zoo_page.rows(place / "inference" / "zoo.json")]
    assert found == ["score 0.5000 (? images)", "–", "–"]
    assert zoo_page.refresh() == ["docs/zoo.md", "README.md"]
