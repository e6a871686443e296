"""How figures are saved."""

import json

import pytest
from PIL import Image

from inference import UserError
from training.plots import style


def test_figures_lie_beside_the_numbers_in_them(tmp_path):
    figures = {"one": style.figure(2, "one"), "other": style.figure(3)}
    out = tmp_path / "figures"
    said = style.save(out, figures, {"run": "r"}, ["no third"])
    assert said == {
        "run": "r",
        "figures": {"one": "one.png", "other": "other.png"},
        "notes": ["no third"],
    }
    assert json.loads((out / "figures.json").read_text()) == said
    with Image.open(out / "other.png") as image:
        assert image.size == (1800, 450)


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "figures").write_text("mine")
    with pytest.raises(UserError, match="figures"):
        style.save(tmp_path / "figures", {"one": style.figure(2)}, {}, [])
    assert (tmp_path / "figures").read_text() == "mine"
