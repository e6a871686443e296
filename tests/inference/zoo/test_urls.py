"""Links as they are copied from a browser: what is fetched by them, and which are refused."""

import pytest

from inference import UserError
from inference.zoo.urls import FORMS, beside, direct

ID = "1AbCdEf-GhIjKlMnOp_x"
DRIVE = [
    f"https://drive.google.com/file/d/{ID}/view?usp=sharing",
    f"https://drive.google.com/file/d/{ID}/view?usp=drive_link&resourcekey=0-abc",
    f"https://drive.google.com/file/d/{ID}",
    f"https://drive.google.com/file/u/0/d/{ID}/edit",
    f"https://drive.google.com/a/school.edu/file/d/{ID}/view#x",
    f"https://drive.google.com/open?id={ID}&usp=drive_fs",
    f"https://drive.google.com/uc?export=download&id={ID}",
    f"https://drive.google.com/u/0/uc?id={ID}&export=download",
    f"https://drive.usercontent.google.com/download?id={ID}&export=download&confirm=t",
    f"https://docs.google.com/uc?export=download&id={ID}",
    f"HTTP://Drive.Google.com/file/d/{ID}/view",
    f"drive.google.com/file/d/{ID}/view",
    f" https://drive.google.com/file/d/{ID}/view\n",
    f"gdrive:https://drive.google.com/file/d/{ID}/view",
    f"gdrive:{ID}/view",
    f"gdrive://{ID}",
    f"gdrive: {ID}",
    f"gdrive:{ID}",
]


@pytest.mark.parametrize("link", DRIVE)
def test_every_link_to_google_drive_is_its_id(link):
    assert direct(link) == f"gdrive:{ID}"


HUB, FACE, BOX = "https://github.com/u/r", "https://huggingface.co/u/r", "https://www.dropbox.com"


@pytest.mark.parametrize(
    "link, file",
    [
        (f"{HUB}/blob/main/w/p1.pth", f"{HUB}/raw/main/w/p1.pth"),
        (f"{HUB}/blob/v1/a%20b.pth?raw=true#L1", f"{HUB}/raw/v1/a%20b.pth"),
        ("github.com/u/r/blob/main/p1.pth", f"{HUB}/raw/main/p1.pth"),
        (f"{FACE}/blob/main/p1.pth", f"{FACE}/resolve/main/p1.pth"),
        (f"{FACE}/raw/main/p1.pth", f"{FACE}/resolve/main/p1.pth"),
        ("https://hf.co/u/r/blob/main/a/p1.pth", f"{FACE}/resolve/main/a/p1.pth"),
        (
            "https://huggingface.co/datasets/u/r/blob/main/p1.pth",
            "https://huggingface.co/datasets/u/r/resolve/main/p1.pth",
        ),
        (f"{BOX}/s/abc/p1.pth?dl=0", f"{BOX}/s/abc/p1.pth?dl=1"),
        (f"{BOX}/s/abc/p1.pth", f"{BOX}/s/abc/p1.pth?dl=1"),
        (f"{BOX}/scl/fi/a/p1.pth?rlkey=k&dl=0", f"{BOX}/scl/fi/a/p1.pth?rlkey=k&dl=1"),
        (
            "https://git.school.edu/g/p/-/blob/main/p1.pth?ref_type=heads",
            "https://git.school.edu/g/p/-/raw/main/p1.pth",
        ),
        (
            "https://codeberg.org/u/r/src/branch/main/p1.pth",
            "https://codeberg.org/u/r/raw/branch/main/p1.pth",
        ),
        (
            "https://bitbucket.org/u/r/src/main/p1.pth",
            "https://bitbucket.org/u/r/raw/main/p1.pth",
        ),
        (
            "https://s-my.sharepoint.com/:u:/g/personal/a/B?e=1",
            "https://s-my.sharepoint.com/:u:/g/personal/a/B?e=1&download=1",
        ),
        (
            "https://zenodo.org/record/123/preview/p1.pth",
            "https://zenodo.org/records/123/files/p1.pth",
        ),
        ("https://example.org/权重.pth", "https://example.org/%E6%9D%83%E9%87%8D.pth"),
        ("<HTTPS://example.org/p1.pth>", "https://example.org/p1.pth"),
    ],
)
def test_the_page_about_a_file_is_the_file(link, file):
    assert direct(link) == file


@pytest.mark.parametrize(
    "url",
    [
        f"{HUB}/raw/refs/heads/main/p1.pth",
        f"{HUB}/releases/download/v1/p1.pth",
        f"{HUB}/releases/latest/download/p1.pth",
        "https://raw.githubusercontent.com/u/r/main/p1.pth",
        f"{FACE}/resolve/main/p1.pth?download=true",
        f"{BOX}/s/abc/p1.pth?raw=1",
        "https://dl.dropboxusercontent.com/s/abc/p1.pth",
        "http://127.0.0.1:8000/mine.pth",
        "http://[::1]:8000/mine.pth",
        "https://example.org/~me/get?file=p1.pth&v=1",
        "https://example.org/a%20b+c.pth",
        "file:cut.pth",
        "file:a b.pth",
        "file:~/p1.pth",
        "file:/media/usb/p1.pth",
        "file:///media/usb/p1%2Db.pth",
    ],
)
def test_what_can_be_fetched_is_left_as_it_is(url):
    assert direct(url) == url


@pytest.mark.parametrize(
    "url, reason",
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        (5, "is no text"),
        (None, "is no text"),
        (ID, f"of a file on Google Drive it is gdrive:{ID}"),
        ("ftp://example.org/p1.pth", "nothing is fetched by ftp:"),
        ("s3://bucket/p1.pth", "nothing is fetched by s3:"),
        ("weights/p1.pth", "it has no scheme"),
        ("/media/usb/p1.pth", "of a file on a shared disk it is file:PATH"),
        ("C:\\p1.pth", "of a file on a shared disk it is file:PATH"),
        ("localhost:8000/p1.pth", "it has no scheme"),
        ("example.org/p1.pth", "it has no scheme"),
        (f"https://drive.google.com/drive/folders/{ID}?usp=sharing", "a folder of Google Drive"),
        (f"https://drive.google.com/drive/u/0/folders/{ID}", "a folder of Google Drive"),
        (f"gdrive:https://drive.google.com/drive/folders/{ID}", "a folder of Google Drive"),
        (f"https://docs.google.com/document/d/{ID}/edit", "a document of Google's"),
        ("https://drive.google.com/", "without a file's ID"),
        ("gdrive:", "no file ID"),
        ("gdrive:a b", "no file ID"),
        ("gdrive:https://example.org/x", "no link to Google Drive"),
        (f"{HUB}/releases/tag/v1", "a page about a release"),
        (f"{HUB}/releases", "a page about a release"),
        (f"{HUB}/tree/main/weights", "a page of GitHub's"),
        (HUB, "a page of GitHub's"),
        ("https://raw.githubusercontent.com/u/r/main/p1.pth?token=A", "expires"),
        (FACE, "a page of Hugging Face's"),
        (f"{FACE}/tree/main", "a page of Hugging Face's"),
        (f"{BOX}/scl/fo/abc/h?rlkey=k&dl=0", "a folder of Dropbox"),
        ("https://1drv.ms/u/s!abc", "OneDrive shows a page"),
        ("https://mega.nz/file/abc#key", "MEGA shows a page"),
        ("https://b.s3.amazonaws.com/p1?X-Amz-Expires=9&X-Amz-Signature=0", "expires"),
        ("http:///p1.pth", "it has no host"),
        ("http:p1.pth", "it has no host"),
        ("https://", "it has no host"),
        ("https://example.org", "a host and no file"),
        ("https://me:secret@example.org/p1.pth", "a user name"),
        ("https://example.org:abc/p1.pth", "'abc'"),
        ("https://example..org/p1.pth", "no host"),
        ("http://[::1/p1.pth", "IPv6"),
        ("https://example.org/a b.pth", "a blank"),
        ("https://example.org/a\nb.pth", "a line break"),
        ("file:", "it names no file"),
        ("file:/media/usb/", "it names no file"),
        ("file://weights/p1.pth", "'weights' would be a host"),
    ],
)
def test_what_nobody_could_fetch_is_refused_in_a_line(url, reason):
    with pytest.raises(UserError) as raised:
        direct(url)
    line = str(raised.value)
    assert reason in line and line.endswith(FORMS) and "\n" not in line


def test_a_file_beside_others():
    for folder, file in (
        ("http://host:8000/hw1/", "http://host:8000/hw1/a%20b.pth"),
        (f"{HUB}/tree/main/w", f"{HUB}/raw/main/w/a%20b.pth"),
        (f"{HUB}/releases/tag/v1", f"{HUB}/releases/download/v1/a%20b.pth"),
        (f"{HUB}/releases/latest", f"{HUB}/releases/latest/download/a%20b.pth"),
        (f"{FACE}/tree/main", f"{FACE}/resolve/main/a%20b.pth"),
    ):
        assert beside(folder, "a b.pth") == file
