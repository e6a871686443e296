"""The page in a browser: headless Chromium, where there is one."""

import json
import re
import shutil
import subprocess

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Looks at the page in frames of both widths, and writes what it sees as its own text.
LOOK = """<!doctype html><body><script>
const widths = [1280, 390], seen = [];
// A busy machine may fail to fetch a file that is there: a broken one fails three times.
async function broken(image) {
  for (let tries = 0; tries < 3 && !(image.complete && image.naturalWidth); tries++)
    await new Promise(done => { image.onload = image.onerror = done; image.src = image.src; });
  return image.naturalWidth ? [] : [image.getAttribute("src").slice(0, 80)];
}
for (const width of widths) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.onload = async () => {
    const page = frame.contentDocument, images = [...page.images];
    const shown = svg => svg.getClientRects().length > 0;
    const sizes = [...page.querySelectorAll("svg")].filter(shown).map(svg =>
      12.5 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width);
    seen.push({width, over: page.documentElement.scrollWidth - frame.clientWidth,
      broken: (await Promise.all(images.map(broken))).flat(), images: images.length,
      drawings: sizes.length, smallest: Math.min(...sizes)});
    if (seen.length == widths.length) document.body.textContent = JSON.stringify(seen);
  };
  frame.src = "index.html";
  document.body.append(frame);
}
</script></body>"""


@pytest.fixture
def chromium(tmp_path):
    """Return a function that runs headless Chromium to its end: its output, and what it logged."""
    there = [found for found in map(shutil.which, NAMES) if found]
    # Some systems have a stand-in that only says where to get one.
    works = [found for found in there if subprocess.run([found, "--version"]).returncode == 0]
    if not works:
        pytest.skip("no Chromium to look at the page with")

    def chromium(*words):
        quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command = [works[0], *quiet, f"--user-data-dir={tmp_path}", "--enable-logging=stderr"]
        command += ["--allow-file-access-from-files", "--virtual-time-budget=9000", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return chromium


def test_nothing_is_broken_at_both_widths(report, chromium):
    (report / "look.html").write_text(LOOK)
    text, log = chromium("--dump-dom", (report / "look.html").as_uri())
    seen = {one["width"]: one for one in json.loads(re.search(r"\[\{.*\}\]", text)[0])}
    for width in (1280, 390):
        assert seen[width]["over"] <= 0, "the page scrolls sideways"
        assert seen[width]["images"] >= 9 and seen[width]["broken"] == []
        assert seen[width]["drawings"] >= 4 and seen[width]["smallest"] >= 12, "small letters"
    assert "CONSOLE" not in log


def test_it_prints(report, chromium, tmp_path):
    pdf = tmp_path / "report.pdf"
    chromium(f"--print-to-pdf={pdf}", (report / "index.html").as_uri())
    content = pdf.read_bytes()
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert content.startswith(b"%PDF") and 5 <= pages <= 40
