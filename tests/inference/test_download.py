"""Downloads from servers that misbehave, from folders, and from something like Google Drive."""

import http.server
import io
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

from inference import UserError, drive, records, zoo
from inference.download import download
from inference.transfer import Patience

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = random.Random(0).randbytes(300_000)
CUT = 131_072
QUICK = Patience(timeout=0.3, tries=3, pause=0.01)
QUOTA_PAGE = (
    b"<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>"
    b'<p class="uc-error-caption">Sorry, you can\'t view or download this file at this time.</p>\n'
    b'<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.'
    b" Please try accessing the file again later.</p></body></html>"
)


class Server:
    """A web server whose answers are functions, kept by path, of the request and its number."""

    def __init__(self):
        self.routes, self.requests, self.over = {}, [], threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                outer.requests.append((path, self.headers.get("Range")))
                number = sum(seen == path for seen, _ in outer.requests)
                outer.routes.get(path, status(404))(self, number)
                self.close_connection = True

            def handle(self):
                try:
                    super().handle()
                except OSError:
                    pass  # the client hung up, which some of these tests are about

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


def send(request, body, code=200, length=None, **headers):
    request.send_response(code)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.end_headers()
    request.wfile.write(body)


def whole(body=DATA, **headers):
    return lambda request, number: send(request, body, **headers)


def status(code, body=b""):
    return lambda request, number: send(request, body, code)


def redirect(to):
    return lambda request, number: send(request, b"", 302, Location=to)


def truncated(times, ranges=False, etag="v1"):
    """Sends the first part only, so many times; with `ranges` it can go on where it stopped."""

    def answer(request, number):
        wanted, same = request.headers.get("Range"), request.headers.get("If-Range") == f'"{etag}"'
        start = int(wanted[len("bytes=") : -1]) if ranges and wanted and same else 0
        body = DATA[start:]
        if number <= times:
            body = body[: CUT // 4]
        headers = {"ETag": f'"{etag}"'}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        send(request, body, 206 if start else 200, len(DATA) - start, **headers)

    return answer


def stalling(server, times=99):
    def answer(request, number):
        send(request, DATA if number > times else DATA[:CUT], length=len(DATA))
        if number <= times:
            server.over.wait(20)

    return answer


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.delenv("HW1_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def zoo_of(tmp_path):
    """Makes a zoo of `small`, the default of p1, with the urls given; returns its zoo.json."""

    def make(*urls, name="small", data=DATA, default=True):
        (tmp_path / "weights").mkdir(exist_ok=True)
        (tmp_path / "inference").mkdir(exist_ok=True)
        file = tmp_path / "inference" / "zoo.json"
        other = tmp_path / "of-its-own"
        other.write_bytes(data)
        record = records.Record(
            name=name,
            task="p1",
            network="convnet",
            arguments={},
            classes=50,
            input={"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3},
            tta=False,
            file=f"{name}.pth",
            bytes=len(data),
            sha256=zoo.sha256(other),
            urls=list(urls),
            trained_on="",
            recipe="",
            scores={},
        )
        zoo.add(record, default, file)
        other.unlink()
        return file

    return make


def fetch(file, *names, patience=QUICK):
    """Downloads; returns the lines that were said."""
    said = []
    download(names, said.append, file, patience)
    return said


def failure(file, *names, patience=QUICK):
    """Downloads, which must fail and leave nothing; returns the line about the last one."""
    said = []
    with pytest.raises(UserError, match="no right file for"):
        download(names, said.append, file, patience)
    assert contents(file) == []
    return said[-1]


def contents(file):
    return sorted(path.name for path in (file.parent.parent / "weights").iterdir())


def weights(file, name="small.pth"):
    return file.parent.parent / "weights" / name


def test_fetches_then_leaves_alone(server, zoo_of):
    server.routes["/a"] = whole()
    file = zoo_of(f"{server.url}/a")
    assert fetch(file) == [f"small: weights/small.pth (0.3 MB) fetched from {server.url}/a"]
    assert weights(file).read_bytes() == DATA
    assert contents(file) == ["small.pth"]
    assert weights(file).stat().st_mode & 0o044  # readable as any file is that the user makes
    assert fetch(file) == ["small: weights/small.pth is right (0.3 MB), left alone"]
    assert len(server.requests) == 1


def test_a_file_put_there_by_hand_needs_no_network(zoo_of):
    file = zoo_of("http://127.0.0.1:1/a")
    weights(file).write_bytes(DATA)
    assert fetch(file) == ["small: weights/small.pth is right (0.3 MB), left alone"]


@pytest.mark.parametrize("damaged", [DATA[:1000], DATA[::-1], DATA + b"x", b""])
def test_a_wrong_file_is_replaced(server, zoo_of, damaged):
    server.routes["/a"] = whole()
    file = zoo_of(f"{server.url}/a")
    weights(file).write_bytes(damaged)
    fetch(file)
    assert weights(file).read_bytes() == DATA


def test_a_wrong_file_stays_until_there_is_a_good_one(server, zoo_of):
    file = zoo_of(f"{server.url}/gone")
    weights(file).write_bytes(b"mine")
    with pytest.raises(UserError):
        fetch(file)
    assert weights(file).read_bytes() == b"mine"
    assert contents(file) == ["small.pth"]


def test_a_broken_transfer_goes_on_where_it_stopped(server, zoo_of):
    server.routes["/a"] = truncated(5, ranges=True)
    file = zoo_of(f"{server.url}/a")
    fetch(file)  # five breaks, though three in a row without progress would have been too many
    assert weights(file).read_bytes() == DATA
    part = CUT // 4
    starts = [None] + [f"bytes={part * i}-" for i in range(1, 6)]
    assert [wanted for _, wanted in server.requests] == starts


def test_a_broken_transfer_starts_again_where_ranges_are_ignored(server, zoo_of):
    server.routes["/a"] = truncated(2)
    file = zoo_of(f"{server.url}/a")
    fetch(file)
    assert weights(file).read_bytes() == DATA


def test_a_file_that_changed_on_the_server_is_not_stitched(server, zoo_of):
    server.routes["/a"] = lambda request, number: truncated(1, ranges=True, etag=f"v{number}")(
        request, number
    )
    file = zoo_of(f"{server.url}/a")
    fetch(file)
    assert weights(file).read_bytes() == DATA


def test_gives_up_on_a_transfer_that_always_breaks(server, zoo_of):
    server.routes["/a"] = truncated(99)
    line = failure(zoo_of(f"{server.url}/a"))
    assert line.endswith(f"{server.url}/a: {CUT // 4} of {len(DATA)} bytes came (3 tries)")
    assert len(server.requests) <= 4


def test_a_stalled_transfer_is_broken_off(server, zoo_of):
    server.routes["/a"] = stalling(server, times=1)
    file = zoo_of(f"{server.url}/a")
    fetch(file)
    assert weights(file).read_bytes() == DATA
    server.routes["/b"] = stalling(server)
    line = (
        failure(zoo_of(f"{server.url}/b", name="other"), "other")
        if weights(file).unlink() is None
        else ""
    )
    assert "nothing came for 0.3 s (3 tries)" in line


def test_server_errors_are_tried_again_and_refusals_are_not(server, zoo_of):
    server.routes["/busy"] = lambda request, number: (status(503) if number < 3 else whole())(
        request, number
    )
    server.routes["/no"] = status(403)
    file = zoo_of(f"{server.url}/no", f"{server.url}/busy")
    [line] = fetch(file)
    assert line.endswith(f"/busy; before that, {server.url}/no: HTTP 403 Forbidden")
    assert [path for path, _ in server.requests] == ["/no", "/busy", "/busy", "/busy"]


def test_the_next_url_is_tried_and_all_reasons_are_told(server, zoo_of):
    server.routes.update({
        "/quota": whole(QUOTA_PAGE),
        "/portal": whole(b"<html><title>Log in\n to WiFi</title>" + b" " * 400_000),
        "/wrong": whole(DATA[::-1]),
        "/short": whole(DATA[:1000]),
        "/long": whole(DATA * 2),
        "/forever": lambda request, number: [
            request.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + DATA * 2)
        ],
    })  # fmt: skip
    names = ["quota", "portal", "wrong", "short", "long", "forever", "absent"]
    line = failure(zoo_of(*(f"{server.url}/{name}" for name in names), "ftp://x/y", "http://"))
    for name, reason in {
        "quota": "a web page that says its download quota is exceeded",
        "portal": "a web page (Log in to WiFi) instead of the file",
        "wrong": "another file (sha256 ",
        "short": "1000 bytes there instead of 300000",
        "long": "600000 bytes there instead of 300000",
        "forever": "more than the 300000 bytes that it should have",
        "absent": "HTTP 404 Not Found",
    }.items():
        assert f"{server.url}/{name}: {reason}" in line
    assert "ftp://x/y: not a source; these are: https:, http:, file:, gdrive:" in line
    assert "\n" not in line
    assert len(server.requests) == len(names)  # nothing here is worth a second try


def test_no_server_is_one_line_at_once(zoo_of):
    assert "http://127.0.0.1:1/a: Connection refused" in failure(zoo_of("http://127.0.0.1:1/a"))


def test_redirections_are_followed(server, zoo_of):
    server.routes.update({"/a": redirect("/b?token=1"), "/b": whole()})
    file = zoo_of(f"{server.url}/a")
    fetch(file)
    assert weights(file).read_bytes() == DATA


def test_the_mirror_comes_first(server, zoo_of, monkeypatch, tmp_path):
    file = zoo_of(f"{server.url}/a")
    server.routes.update({"/a": whole(), "/hw1/small.pth": whole()})
    monkeypatch.setenv("HW1_MIRROR", f"{server.url}/hw1/")
    fetch(file)
    assert server.requests == [("/hw1/small.pth", None)]
    folder = tmp_path / "class server"
    folder.mkdir()
    for mirror in (str(folder), folder.as_uri(), f"file:{folder}"):
        (folder / "small.pth").write_bytes(DATA)
        weights(file).unlink()
        monkeypatch.setenv("HW1_MIRROR", mirror)
        assert "class" in fetch(file)[0]
        assert weights(file).read_bytes() == DATA
    assert len(server.requests) == 1


def test_what_the_mirror_lacks_comes_from_the_urls(server, zoo_of, monkeypatch, tmp_path):
    server.routes["/a"] = whole()
    monkeypatch.setenv("HW1_MIRROR", str(tmp_path / "nowhere"))
    [line] = fetch(zoo_of(f"{server.url}/a"))
    assert "before that, file:" in line and "No such file or directory" in line


def test_file_urls(zoo_of, tmp_path):
    (tmp_path / "a b.pth").write_bytes(DATA)
    (tmp_path / "cut.pth").write_bytes(DATA[:7])
    for url in ((tmp_path / "a b.pth").as_uri(), f"file:{tmp_path}/a b.pth", "file:a b.pth"):
        file = zoo_of("file:cut.pth", url)
        assert "7 bytes there instead of 300000" in fetch(file)[0]
        assert weights(file).read_bytes() == DATA
        weights(file).unlink()


def test_names_choose_and_one_failure_does_not_stop_the_others(server, zoo_of):
    server.routes["/a"] = whole()
    zoo_of(f"{server.url}/a", name="first", default=False)
    file = zoo_of(f"{server.url}/gone", name="second")
    zoo_of(f"{server.url}/a", name="third", default=False)
    said = []
    with pytest.raises(UserError, match="no right file for second; .*HW1_MIRROR"):
        download(["second", "third"], said.append, file, QUICK)
    assert contents(file) == ["third.pth"] and len(said) == 2
    with pytest.raises(UserError, match="no checkpoint 'thrid' in the zoo; there are: first, sec"):
        download(["first", "thrid"], said.append, file, QUICK)
    assert contents(file) == ["third.pth"] and len(said) == 2


def test_a_bundled_file_that_was_lost(zoo_of):
    assert "zoo.json has no url for it; if it is a bundled one, git checkout" in failure(zoo_of())


def test_weights_that_cannot_be_written(server, zoo_of, tmp_path):
    server.routes["/a"] = whole()
    file = zoo_of(f"{server.url}/a")
    (tmp_path / "weights").rmdir()
    (tmp_path / "weights").write_text("a file")
    said = []
    with pytest.raises(UserError):
        download([], said.append, file, QUICK)
    assert said[0].startswith(f"cannot write {tmp_path / 'weights'}: ")


def test_a_full_disk_is_named_and_leaves_nothing(server, zoo_of, tmp_path):
    server.routes["/a"] = whole()
    file = zoo_of(f"{server.url}/a", f"{server.url}/b")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        line = failure(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert line.startswith(f"cannot write to {tmp_path / 'weights'}: File too large")
    assert len(server.requests) == 1


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from inference.download import download
download(file=Path(sys.argv[2]))
assert "torch" not in sys.modules
"""


def start(file):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(REPOSITORY), str(file)], stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("url", ["{}/a", "gdrive:1a2b3c"])
def test_an_interruption_leaves_nothing(server, zoo_of, url, tmp_path):
    server.routes["/a"] = stalling(server)
    server.routes["/uc"] = stalling(server)
    file = zoo_of(url.format(server.url))
    fake = tmp_path / "gdown.py"  # it hangs as the real one does, which knows one server only
    fake.write_text(
        "import urllib.request\n"
        "def download(url, output, **_):\n"
        f"    answer = urllib.request.urlopen('{server.url}/uc')\n"
        "    while True: output.write(answer.read(4096))\n"
    )
    os.environ["PYTHONPATH"] = str(tmp_path)
    try:
        process = start(file)
    finally:
        del os.environ["PYTHONPATH"]
    deadline = time.monotonic() + 10
    while not any((weights(file, name).stat().st_size for name in contents(file))):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in process.communicate(timeout=10)[1]
    assert process.returncode != 0
    assert contents(file) == []


def test_two_at_once_both_succeed(server, zoo_of):
    together = threading.Barrier(2, timeout=10)

    def answer(request, number):
        send(request, DATA[:CUT], length=len(DATA))
        together.wait()
        request.wfile.write(DATA[CUT:])

    server.routes["/a"] = answer
    file = zoo_of(f"{server.url}/a")
    both = [start(file), start(file)]
    for process in both:
        assert process.communicate(timeout=20)[1].endswith(b"/a\n")
        assert process.returncode == 0
    assert weights(file).read_bytes() == DATA
    assert contents(file) == ["small.pth"]


# Google Drive, answered for in place of the network: gdown's own code runs.


CONFIRM_PAGE = (
    b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>"
    b'<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">'
    b'<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="1a2b3c">'
    b'<input type="hidden" name="export" value="download">'
    b'<input type="hidden" name="confirm" value="t"></form></body></html>'
)


@pytest.fixture
def google(monkeypatch):
    """A requests adapter that asks for confirmation and then gives `google.file`."""
    requests = pytest.importorskip("requests")
    pytest.importorskip("gdown")

    class Google(requests.adapters.BaseAdapter):
        page, file, asked = CONFIRM_PAGE, DATA, ()

        def send(self, request, **_):
            self.asked += (request.url,)
            response = requests.Response()
            response.status_code, response.url, response.request = 200, request.url, request
            confirmed = request.url.startswith("https://drive.usercontent.google.com/download?")
            if confirmed and "id=1a2b3c" in request.url and "confirm=t" in request.url:
                response.headers["Content-Type"] = "application/octet-stream"
                response.headers["Content-Disposition"] = 'attachment; filename="theirs.pth"'
                response.headers["Content-Length"] = str(len(DATA))
                response.raw = io.BytesIO(self.file)
            else:
                response.headers["Content-Type"] = "text/html; charset=utf-8"
                response.raw = io.BytesIO(self.page)
            return response

        def close(self):
            pass

    google = Google()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: google)
    monkeypatch.setattr(drive, "PLAIN_LINK", "http://127.0.0.1:1/{}")
    return google


def test_drive_asks_for_confirmation_and_gives_the_file(google, zoo_of, capsys):
    file = zoo_of("gdrive:1a2b3c")
    assert fetch(file) == ["small: weights/small.pth (0.3 MB) fetched from gdrive:1a2b3c"]
    assert weights(file).read_bytes() == DATA
    assert contents(file) == ["small.pth"]
    assert google.asked[0].startswith("https://drive.google.com/uc?id=1a2b3c")
    assert capsys.readouterr() == ("", "")


def test_drive_says_that_the_quota_is_exceeded(google, zoo_of, capsys):
    google.page = QUOTA_PAGE
    line = failure(zoo_of("gdrive:1a2b3c"))
    assert "gdrive:1a2b3c: a web page that says its download quota is exceeded (try aga" in line
    assert len(google.asked) == 1
    assert capsys.readouterr() == ("", "")


def test_drive_wants_the_file_to_be_shared(google, zoo_of):
    google.page = b"<html><head><title>Google Drive: Sign-in</title></head></html>"
    line = failure(zoo_of("gdrive:1a2b3c"))
    assert "gdrive:1a2b3c: not shared with anyone who has the link" in line
    assert "by plain link: Connection refused" in line


def test_drive_breaks_off_and_gdown_starts_again(google, zoo_of):
    google.file = DATA[:CUT]

    def mend(*_):
        if len(google.asked) > 1:
            google.file = DATA

    send_as_before = google.send
    google.send = lambda request, **options: (mend(), send_as_before(request, **options))[1]
    file = zoo_of("gdrive:1a2b3c")
    fetch(file)
    assert weights(file).read_bytes() == DATA


def test_drive_has_another_file(google, zoo_of):
    google.file = DATA[::-1]
    assert "gdrive:1a2b3c: another file (sha256 " in failure(zoo_of("gdrive:1a2b3c"))


def hangs(gate):
    gate.write(DATA[:CUT])
    time.sleep(1.2)
    gate.write(DATA[CUT:])


def refuses(gate):  # gdown 4.5 on what Drive sends today
    raise AttributeError("'NoneType' object has no attribute 'groups'")


def prints(gate):  # gdown 4.5 on a page that it does not know
    print("Access denied with the following error:\n\tCannot retrieve the public link of the file")


@pytest.mark.parametrize(
    "behaviour, reason",
    [
        (hangs, "nothing came for 0.6 s"),
        (refuses, "gdown: AttributeError: 'NoneType' object has no attribute 'groups'"),
        (prints, "not shared with anyone who has the link, or fetched too often lately"),
        (None, "gdown cannot be imported ("),
    ],
)
def test_where_gdown_fails_the_plain_link_helps(
    server, zoo_of, monkeypatch, capsys, behaviour, reason
):
    fake = types.ModuleType("gdown")
    fake.download = lambda url, output, quiet, use_cookies: behaviour(output)
    monkeypatch.setitem(sys.modules, "gdown", fake if behaviour else None)
    monkeypatch.setattr(drive, "PLAIN_LINK", f"{server.url}/{{}}")
    file = zoo_of("gdrive:1a2b3c")
    line = failure(file, patience=Patience(0.3, 1, 0))
    assert f"gdrive:1a2b3c: {reason}" in line
    assert line.endswith("; by plain link: HTTP 404 Not Found")
    server.routes["/1a2b3c"] = whole()
    fetch(file, patience=Patience(0.3, 1, 0))
    assert weights(file).read_bytes() == DATA
    assert capsys.readouterr() == ("", "")


def test_a_drive_link_in_place_of_an_id(zoo_of):
    line = failure(zoo_of("gdrive:https://drive.google.com/file/d/1a2b3c/view"))
    assert "no file ID (of a link .../file/d/ID/view it is the part after /d/)" in line
