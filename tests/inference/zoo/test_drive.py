"""Downloads from Google Drive, which is answered for: gdown's own code runs, no network."""

import io
import sys
import time
import types

import pytest

from inference.zoo import drive
from inference.zoo.transfer import RetryPolicy

CONFIRM_PAGE = (
    b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>"
    b'<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
    b'<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="1a2b3c">'
    b'<input type="hidden" name="export" value="download">'
    b'<input type="hidden" name="confirm" value="t"></form></body></html>'
)


@pytest.fixture
def google(monkeypatch, shelf, refusing):
    """A requests adapter that asks for confirmation and then gives one of `google.files`."""
    requests = pytest.importorskip("requests")
    pytest.importorskip("gdown")

    class Google(requests.adapters.BaseAdapter):
        page, files, asked = CONFIRM_PAGE, [shelf.data], ()

        def send(self, request, **_):
            self.asked += (request.url,)
            response = requests.Response()
            response.status_code, response.url, response.request = 200, request.url, request
            confirmed = request.url.startswith("https://drive.usercontent.google.com/download?")
            if confirmed and "id=1a2b3c" in request.url and "confirm=t" in request.url:
                response.headers["Content-Type"] = "application/octet-stream"
                response.headers["Content-Disposition"] = 'attachment; filename="theirs.pth"'
                response.headers["Content-Length"] = str(len(shelf.data))
                response.raw = io.BytesIO(self.files.pop(0))
            else:
                response.headers["Content-Type"] = "text/html; charset=utf-8"
                response.raw = io.BytesIO(self.page)
            return response

        def close(self):
            pass

    google = Google()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: google)
    monkeypatch.setattr(drive, "PLAIN_LINK", refusing + "/{}")
    return google


def test_drive_asks_for_confirmation_and_gives_the_file(google, shelf, capsys):
    shelf.add("gdrive:1a2b3c")
    assert shelf.fetch() == ["small: weights/small.pth (0.3 MB) fetched from gdrive:1a2b3c"]
    assert shelf.holds()
    assert shelf.contents() == ["small.pth"]
    assert google.asked[0].startswith("https://drive.google.com/uc?id=1a2b3c")
    assert capsys.readouterr() == ("", "")


def test_drive_says_that_the_quota_is_exceeded(google, shelf, capsys):
    google.page = shelf.quota_page
    line = shelf.add("gdrive:1a2b3c").failure()
    assert "gdrive:1a2b3c: a web page that says its download quota is exceeded (try aga" in line
    assert len(google.asked) == 1
    assert capsys.readouterr() == ("", "")


def test_drive_wants_the_file_to_be_shared(google, shelf):
    google.page = b"<html><head><title>Google Drive: Sign-in</title></head></html>"
    line = shelf.add("gdrive:1a2b3c").failure()
    assert "gdrive:1a2b3c: not shared with anyone who has the link" in line
    assert "by plain link: Connection refused" in line


def test_drive_breaks_off_and_gdown_starts_again(google, shelf):
    google.files = [shelf.data[:100_000], shelf.data]
    shelf.add("gdrive:1a2b3c").fetch()
    assert shelf.holds()


def test_drive_has_another_file(google, shelf):
    google.files = [shelf.data[::-1]]
    assert "gdrive:1a2b3c: another file (sha256 " in shelf.add("gdrive:1a2b3c").failure()


def hangs(gate):
    gate.write(b"some")
    time.sleep(5)
    gate.write(b"thing that comes too late")


def refuses(gate):  # gdown 4.5 on what Drive sends today
    raise AttributeError("'NoneType' object has no attribute 'groups'")


def prints(gate):  # gdown 4.5 on a page that it does not know
    print("Access denied with the following error:\n\tCannot retrieve the public link of the file")


@pytest.mark.parametrize(
    "behaviour, reason",
    [
        (hangs, "nothing came for 2 s"),
        (refuses, "gdown: AttributeError: 'NoneType' object has no attribute 'groups'"),
        (prints, "not shared with anyone who has the link, or fetched too often lately"),
        (None, "gdown cannot be imported ("),
    ],
)
def test_where_gdown_fails_the_plain_link_helps(
    server, shelf, monkeypatch, capsys, behaviour, reason
):
    fake = types.ModuleType("gdown")
    fake.download = lambda url, output, quiet, use_cookies: behaviour(output)
    monkeypatch.setitem(sys.modules, "gdown", fake if behaviour else None)
    monkeypatch.setattr(drive, "PLAIN_LINK", f"{server.url}/{{}}")
    shelf.add("gdrive:1a2b3c")
    once = RetryPolicy(1 if behaviour is hangs else 5, 1, 0)
    line = shelf.failure(policy=once)
    assert f"gdrive:1a2b3c: {reason}" in line
    assert line.endswith("; by plain link: HTTP 404 Not Found")
    server.answers["/1a2b3c"] = server.whole()
    shelf.fetch(policy=once)
    assert shelf.holds()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("link", ["gdrive:{}", "{}?usp=sharing"])
def test_a_drive_link_in_place_of_an_id(google, shelf, link):
    shelf.add(link.format("https://drive.google.com/file/d/1a2b3c/view"))
    assert shelf.fetch() == ["small: weights/small.pth (0.3 MB) fetched from gdrive:1a2b3c"]
    assert shelf.holds()
