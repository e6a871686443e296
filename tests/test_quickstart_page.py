"""The quickstart's page, from what a tiny one has left."""

import subprocess
import sys
from pathlib import Path

from tests.test_predictions_picture import left  # noqa: F401 - a fixture

SCRIPT = Path(__file__).parents[1] / "scripts/quickstart_page.py"


def test_answers_mistakes_and_masks_are_on_the_page(left):  # noqa: F811
    data, out = left
    (out / "grade.txt").write_text("P1 <accuracy> .5\n")
    run = subprocess.run([sys.executable, SCRIPT, data, out], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    page = (out / "index.html").read_text()
    assert page.count("<img") == 3 + 3 + 9 and page.count("base64,") == 15
    assert page.count("2 of 3 are right") == 2
    assert page.count('<span class="wrong">1</span>, is 2') == 2 and "&lt;accuracy&gt;" in page
    assert "0001_sat.jpg predicted" in page and "Rangeland" in page
