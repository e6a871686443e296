"""The page that scripts/gpu.sh leaves, as far as it can be tried without a GPU."""

import pytest

from scripts.bench import gpu

XML = """<testsuites><testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase>
<testcase name="c"><failure/></testcase></testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (XML, "Tests: 1 passed, 1 skipped; FAILED: c"),
        (None, "Tests: did not end"),  # pytest was stopped before it wrote a file
        (XML[:40], "Tests: did not end"),
    ],
    ids=["ended", "stopped", "stopped while writing"],
)
def test_the_page_says_how_the_tests_went(tmp_path, written, line):
    file = tmp_path / "tests.xml"
    if written:
        file.write_text(written)
    machine = {"gpu": "a GPU", "torch": "2.9"}
    lines = gpu._page({"machine": machine, "tests": gpu._tests(file)}).splitlines()
    assert [row for row in lines if row.startswith("Tests")] == [line]


def test_the_page_is_silent_on_tests_that_nobody_asked_for():
    machine = {"gpu": "a GPU", "torch": "2.9"}
    assert "Tests" not in gpu._page({"machine": machine, "tests": gpu._tests(None)})
