"""The author's words: where they go, and what cannot get into the page with them."""

import pytest
from PIL import Image

from inference import UserError
from training.report import notes
from training.report.sections import questions


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a text as notes."""

    def read(text):
        (tmp_path / "notes.md").write_text(text)
        return notes.read(tmp_path / "notes.md", print).words

    return read


def test_a_heading_is_a_question(read):
    found = read("Hello *you*.\n## P1.5: what\nfirst\n## 2.2\n|a|b|\n|-|-|\n|1|2|\n## p3-4 .\n")
    assert list(found) == [notes.COVER, "P1.5", "P2.2", "P3.4"] and not found["P3.4"]
    assert "<em>you</em>" in found[notes.COVER] and "first" in found["P1.5"]
    assert "<td>1</td>" in found["P2.2"]


def test_what_looks_like_a_heading_in_code_is_none(read):
    found = read("# P1.5\n```\n# no question\n```\n## Part\nmore\n")
    assert "# no question" in found["P1.5"] and "<h4>Part</h4>" in found["P1.5"]


@pytest.mark.parametrize(
    "code", ["```tsne``` was used", "    ```", "````\n```\n````", "~~~\n```\n~~~"]
)
def test_a_block_of_code_ends_where_markdown_ends_it(read, code):
    found = read(f"# P1.5\n\n{code}\n\n# P1.6\nmore\n")
    assert list(found)[-2:] == ["P1.5", "P1.6"] and "more" in found["P1.6"]


@pytest.mark.parametrize("heading", ["P1.99", "P4.1", "PCA", "1"])
def test_a_heading_without_a_question_is_refused(read, heading):
    with pytest.raises(UserError, match=r"no question in the heading .*P1\.1, P1\.2"):
        read(f"# {heading}\ntext\n")


def test_html_is_shown_and_links_lead_to_pages_alone(read):
    said = (
        "<script>alert(1)</script>\n\n<b onclick='x'>b</b> [a](javascript:alert) [w](https://x.y)"
    )
    found = read(f"# P1.5\n{said}\n")["P1.5"]
    assert "<script" not in found and "<b " not in found and "&lt;script&gt;" in found
    assert "javascript" not in found and 'href="https://x.y"' in found


def test_pictures_go_into_the_page(read, tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "seen.png")
    assert 'src="data:image/png;base64,' in read("# P1.5\n![what](seen.png)\n")["P1.5"]
    (tmp_path / "seen.png").rename(tmp_path / "my seen.png")
    assert 'src="data:image/png;base64,' in read("# P1.5\n![what](my%20seen.png)\n")["P1.5"]
    pasted = f"data:image/png;base64,{'A' * 400}"
    assert f'src="{pasted}"' in read(f"# P1.5\n![what]({pasted})\n")["P1.5"]
    for name in ("gone.png", "https://x.y/z.png", "notes.md", f"{'x' * 300}.png"):
        with pytest.raises(UserError, match="no picture"):
            read(f"# P1.5\n![what]({name})\n")


def test_notes_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.md").write_bytes(b"# P1.5\n\xe9t\xe9\n")
    for name, reason in (
        ("none.md", "No such file or directory"),
        (".", "Is a directory"),
        ("latin.md", "it is not UTF-8"),
    ):
        with pytest.raises(UserError) as refused:
            notes.read(tmp_path / name, print)
        assert str(refused.value) == f"cannot read the notes {tmp_path / name}: {reason}"


def test_the_author_s_brackets_are_not_printed_but_code_is(read, tmp_path):
    found = read("# P1.5\n<!-- what\n# P9.9\nelse --> said `<!-- x -->`\n```\n<!-- y -->\n```\n")
    assert "what" not in found["P1.5"] and "else" not in found["P1.5"]
    assert "said <code>&lt;!-- x --&gt;</code>" in found["P1.5"]
    assert "&lt;!-- y --&gt;" in found["P1.5"]


def test_the_author_s_name_is_found_whatever_program_wrote_the_file(tmp_path):
    (tmp_path / "notes.md").write_bytes("\ufeffName: Ada\r\nStudent ID: b0123\r\n\r\nHi.".encode())
    found = notes.read(tmp_path / "notes.md", print)
    assert (found.author, found.student) == ("Ada", "b0123")
    assert found.words == {notes.COVER: "<p>Hi.</p>"}


def test_a_template_is_filled_in_and_given_back(tmp_path):
    file, lines = tmp_path / "notes.md", []
    notes.write_template(file)
    found = notes.read(file, lines.append)
    assert list(found.words) == [notes.COVER, *questions()] and not any(found.words.values())
    assert lines == [f"note: 15 headings are still empty in {file}: {', '.join(questions())}"]
    for heading in questions():
        assert f"\n# {heading} " in file.read_text()

    text = file.read_text().replace("Name:", "Name: Ada").replace("-->\n\n#", "-->\nSo.\n\n#")
    file.write_text(text + "\nThe last one.\n")
    found = notes.read(file, lines.append)
    said = {number: found.words[number] for number in questions()}
    assert set(said.values()) == {"<p>So.</p>", "<p>The last one.</p>"} and len(lines) == 1
    assert found.author == "Ada" and not found.words[notes.COVER]


def test_a_template_overwrites_nothing(tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("notes.md", "link", "."):
        with pytest.raises(UserError, match="is there and is not overwritten"):
            notes.write_template(tmp_path / name)
    assert (tmp_path / "notes.md").read_text() == "mine" and not (tmp_path / "nowhere").exists()
