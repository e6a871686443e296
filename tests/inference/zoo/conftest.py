"""A web server that misbehaves and a zoo to download into, for the tests of downloads."""

import http.server
import random
import socket
import threading
from pathlib import Path

import pytest

from inference import UserError, zoo
from inference.zoo.download import download
from inference.zoo.transfer import RetryPolicy

DATA = random.Random(0).randbytes(300_000)
QUOTA_PAGE = (
    b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>"
    b'<p class="uc-error-caption">Sorry, you can\'t view or download this file at this time.</p>\n'
    b'<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.'
    b" Please try accessing the file again later.</p></body></html>"
)


class Server:
    """A web server on this machine. An answer, kept by path, is called with the request and its
    number, from 1.
    """

    part = 32_768  # what a truncated transfer brings

    def __init__(self):
        self.answers, self.requests, self.over = {}, [], threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                outer.requests.append((path, self.headers.get("Range")))
                number = sum(seen == path for seen, _ in outer.requests)
                outer.answers.get(path, outer.status(404))(self, number)
                self.close_connection = True

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass  # the client hung up, which is what some tests are about

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.over.set()
        self.http.shutdown()
        self.http.server_close()

    @staticmethod
    def send(request, body, code=200, length=None, **headers):
        request.send_response(code)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    def whole(self, body=DATA):
        return lambda request, number: self.send(request, body)

    def status(self, code):
        return lambda request, number: self.send(request, b"", code)

    def redirect(self, to):
        return lambda request, number: self.send(request, b"", 302, Location=to)

    def truncated(self, times, ranges=False, etag="v1"):
        """Send `part` only, so many times; with `ranges` it can go on where it stopped."""

        def answer(request, number):
            same = request.headers.get("If-Range") == f'"{etag}"'
            wanted = request.headers.get("Range") if ranges and same else None
            start = int(wanted[len("bytes=") : -1]) if wanted else 0
            headers = {"ETag": f'"{etag}"'}
            if start:
                headers["Content_Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
            body = DATA[start:][: self.part if number <= times else None]
            self.send(request, body, 206 if start else 200, len(DATA) - start, **headers)

        return answer

    def stalling(self, times=99):
        """Send `part` and then nothing, so many times."""

        def answer(request, number):
            body = DATA[: self.part if number <= times else None]
            self.send(request, body, length=len(DATA))
            if number <= times:
                self.over.wait(20)

        return answer


class Shelf:
    """A zoo with files to download, as bare bytes."""

    data, quota_page = DATA, QUOTA_PAGE
    quick = RetryPolicy(timeout=5, tries=3, pause=0.01)
    impatient = RetryPolicy(timeout=0.5, tries=3, pause=0.01)  # where something does stall

    def __init__(self, root: Path):
        self.root, self.file = root, root / "inference" / "zoo.json"
        self.weights = root / "weights"
        for folder in (self.file.parent, self.weights):
            folder.mkdir()

    def add(self, *urls, name="small", default=True):
        """Add a checkpoint that holds `data` and can be had from `urls`; return the shelf."""
        whole = self.root / "whole"
        whole.write_bytes(DATA)
        record = zoo.Record(
            name=name,
            task="p1",
            network="convnet",
            arguments={},
            classes=50,
            input={"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3},
            tta=False,
            file=f"{name}.pth",
            bytes=len(DATA),
            sha256=zoo.sha256(whole),
            urls=list(urls),
            trained_on="",
            recipe="",
            scores={},
        )
        zoo.add(record, default, self.file)
        whole.unlink()
        return self

    def fetch(self, *names, policy=quick):
        """Downloads; returns the lines that were said."""
        said = []
        download(names, said.append, self.file, policy)
        return said

    def failure(self, *names, policy=quick):
        """Downloads, which must fail and leave nothing; returns the line about the last one."""
        said = []
        with pytest.raises(UserError, match="no right file for"):
            download(names, said.append, self.file, policy)
        assert self.contents() == []
        return said[-1]

    def contents(self):
        return sorted(path.name for path in self.weights.iterdir())

    def holds(self, name="small"):
        return (self.weights / f"{name}.pth").read_bytes() == DATA


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def refusing():
    """The url of a port on which nobody listens, nor can while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    monkeypatch.delenv("HW1_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))
    return Shelf(tmp_path)
