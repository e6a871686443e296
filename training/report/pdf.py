"""The page as a PDF: printed by Chromium, Chrome or Edge, whichever is installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from inference import UserError
from inference.files import in_one_line, write_whole

MACOS = "/Applications/{0}.app/Contents/MacOS/{0}"
BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "msedge"),
    *map(MACOS.format, ("Google Chrome", "Chromium", "Microsoft Edge")),
)
ERROR = b"/Title (file:"  # what a browser prints where it may not read a page has no other title
CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
PATIENCE = 180  # seconds; a page is printed in a few
OPTIONS = (
    *("--headless", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions"),
    *("--no-first-run", "--no-default-browser-check", "--generate-pdf-document-outline"),
    *("--no-pdf-header-footer", "--print-to-pdf-no-header"),  # by its new name and its old one
)


def missing_font(page: Path) -> str:
    """Return a line on what to install where no font has a page's Chinese words, else "".

    Nothing is said where fontconfig, which a browser asks on Linux, is not there to be asked.
    """
    found = CJK.search(page.read_text(encoding="utf-8"))
    if not found:
        return ""
    command = ["fc-list", f":charset={ord(found[0]):x}", "family"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if done.returncode or done.stdout.strip():
        return ""
    return (
        f"no font here has {found[0]}: Chinese, Japanese and Korean words are boxes in the PDF; "
        "install some, on Debian and Ubuntu: apt install fonts-noto-cjk"
    )


def print_page(page: Path, pdf: Path) -> None:
    """Print a page into a file, which is there whole or not at all.

    Raises:
        UserError: no browser is installed or none can print it, or the file cannot be written.
    """
    failures = []
    for browser in filter(None, map(shutil.which, BROWSERS)):
        # Beside the page: some browsers may read and write the user's own folders alone.
        with tempfile.TemporaryDirectory(
            prefix="print-", dir=page.parent, ignore_cleanup_errors=True
        ) as scratch:
            printed = Path(scratch, "page.pdf")
            said = _run(browser, page, Path(scratch), printed)
            content = printed.read_bytes() if printed.is_file() else b""
        if content.startswith(b"%PDF") and b"%%EOF" in content[-1024:]:
            if ERROR not in content:
                return write_whole(pdf, content)
            said = "it may not read the page"
        failures.append(f"{browser}: {said}")
    why = "; ".join(failures) or "no Chromium, Chrome or Edge is on PATH"
    raise UserError(
        f"{pdf} was not made, {why}. By hand: open {page} in a browser, and print it to a file"
    )


def _run(browser: str, page: Path, scratch: Path, printed: Path) -> str:
    """Run a browser until it has printed a page; return what it said, or why it was ended."""
    command = [browser, *OPTIONS, f"--user-data-dir={scratch / 'profile'}"]
    command += ["--no-sandbox"] if os.geteuid() == 0 else []  # it refuses to run as root otherwise
    command += [f"--print-to-pdf={printed}", page.resolve().as_uri()]
    log = scratch / "log"
    with log.open("wb") as stderr:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            return error.strerror or str(error)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return f"it had not ended after {PATIENCE} seconds"
        finally:  # with all that it started
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said = [in_one_line(line.strip())[:200] for line in lines if line.strip()]
    end = f"signal {-status}" if status < 0 else f"status {status}"
    return f"it ended with {end}" + (f" and said: {said[-1]}" if said else "")
