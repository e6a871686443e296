"""Transfers from web servers that break off, stall, or send something else."""


def test_a_broken_transfer_goes_on_where_it_stopped(server, shelf):
    server.answers["/a"] = server.truncated(5, ranges=True)
    shelf.add(f"{server.url}/a")
    shelf.fetch()  # five breaks, though three in a row without progress would have been too many
    assert shelf.holds()
    starts = [None, *(f"bytes={server.part * i}-" for i in range(1, 6))]
    assert [wanted for _, wanted in server.requests] == starts


def test_a_broken_transfer_starts_again_where_ranges_are_ignored(server, shelf):
    server.answers["/a"] = server.truncated(2)
    shelf.add(f"{server.url}/a")
    shelf.fetch()
    assert shelf.holds()


def test_a_file_that_changed_on_the_server_is_not_stitched(server, shelf):
    def answer(request, number):
        server.truncated(1, ranges=True, etag=f"v{number}")(request, number)

    server.answers["/a"] = answer
    shelf.add(f"{server.url}/a")
    shelf.fetch()
    assert shelf.holds()


def test_gives_up_on_a_transfer_that_always_breaks(server, shelf):
    server.answers["/a"] = server.truncated(99)
    line = shelf.add(f"{server.url}/a").failure()
    assert line.endswith(f"{server.url}/a: {server.part} of {len(shelf.data)} bytes came (3 tries)")
    assert len(server.requests) <= 4


def test_a_stalled_transfer_is_broken_off(server, shelf):
    server.answers["/a"] = server.stalling(times=1)
    shelf.add(f"{server.url}/a")
    shelf.fetch(policy=shelf.impatient)
    assert shelf.holds()
    (shelf.weights / "small.pth").unlink()
    server.answers["/b"] = server.stalling()
    line = shelf.add(f"{server.url}/b").failure(policy=shelf.impatient)
    assert line.endswith("/b: nothing came for 0.5 s (3 tries)")


def test_server_errors_are_tried_again_and_refusals_are_not(server, shelf):
    def busy(request, number):
        (server.status(503) if number < 3 else server.whole())(request, number)

    server.answers["/busy"] = busy
    server.answers["/no"] = server.status(403)
    shelf.add(f"{server.url}/no", f"{server.url}/busy")
    [line] = shelf.fetch()
    assert line.endswith(f"/busy; before that, {server.url}/no: HTTP 403 Forbidden")
    assert [path for path, _ in server.requests] == ["/no", "/busy", "/busy", "/busy"]


def test_the_next_url_is_tried_and_all_reasons_are_told(server, shelf):
    server.answers.update({
        "/quota": server.whole(shelf.quota_page),
        "/portal": server.whole(b"<html><title>Log in\n to WiFi</title>" + b" " * 400_000),
        "/wrong": server.whole(shelf.data[::-1]),
        "/short": server.whole(shelf.data[:1000]),
        "/long": server.whole(shelf.data * 2),
        "/forever": lambda request, number: [
            request.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + shelf.data * 2)
        ],
    })  # fmt: skip
    names = ["quota", "portal", "wrong", "short", "long", "forever", "absent"]
    line = shelf.add(*(f"{server.url}/{name}" for name in names)).failure()
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
    assert "\n" not in line
    assert len(server.requests) == len(names)  # nothing here is worth a second try


def test_no_server_is_one_line_at_once(refusing, shelf):
    assert f"{refusing}/a: Connection refused" in shelf.add(f"{refusing}/a").failure()


def test_redirections_are_followed(server, shelf):
    server.answers.update({"/a": server.redirect("/b?token=1"), "/b": server.whole()})
    shelf.add(f"{server.url}/a")
    shelf.fetch()
    assert shelf.holds()
