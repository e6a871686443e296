import errno
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from inference import UserError, files, masks
from inference.files import check_folder, check_writable, write_whole


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    target = tmp_path / "new folder" / "sub" / "out.csv"
    write_whole(target, b"all")
    assert target.read_bytes() == b"all" and contents(target.parent) == ["out.csv"]


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "out").write_bytes(b"a long old content")
    write_whole(tmp_path / "out", b"new")
    assert (tmp_path / "out").read_bytes() == b"new" and contents(tmp_path) == ["out"]


def test_a_name_may_be_as_long_as_names_can_be(tmp_path):
    write_whole(tmp_path / ("x" * 255), b"all")
    assert contents(tmp_path) == ["x" * 255]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to("there/out")
    for data in (b"first", b"second"):
        write_whole(tmp_path / "link", data)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "there" / "out").read_bytes() == data
    assert contents(tmp_path / "there") == ["out"]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_when_writing_fails_the_old_file_is_untouched(tmp_path, monkeypatch, step, code):
    (tmp_path / "out").write_bytes(b"old")
    monkeypatch.setattr(Path if step == "write_bytes" else os, step, failing(code))
    with pytest.raises(UserError, match=f"cannot write {tmp_path}/out: {os.strerror(code)}"):
        write_whole(tmp_path / "out", b"new")
    monkeypatch.undo()
    assert (tmp_path / "out").read_bytes() == b"old" and contents(tmp_path) == ["out"]


def test_a_folder_that_may_not_be_entered_is_a_users_error(tmp_path, monkeypatch):
    stat = os.stat

    def locked(path, *arguments, **options):
        if "locked" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", locked)  # root, whom no folder keeps out, may run this
    monkeypatch.setattr(os, "mkdir", failing(errno.EACCES))
    for check, path in (
        (check_writable, tmp_path / "locked" / "in" / "out.csv"),
        (check_folder, tmp_path / "locked" / "in"),
    ):
        with pytest.raises(UserError, match=r"cannot write .*: Permission denied"):
            check(path)
    masks.protect([tmp_path / "0_sat.jpg"], tmp_path / "locked" / "out")


def test_interrupted_between_writing_and_renaming(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "out", b"new")
    assert contents(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EACCES, errno.EROFS])
def test_a_writable_file_that_cannot_be_replaced_is_written_to(tmp_path, monkeypatch, code):
    (tmp_path / "out").write_bytes(b"old, and longer")
    monkeypatch.setattr(os, "replace", failing(code))
    write_whole(tmp_path / "out", b"new")
    assert (tmp_path / "out").read_bytes() == b"new" and contents(tmp_path) == ["out"]
    with pytest.raises(UserError, match="cannot write"):
        write_whole(tmp_path / "other", b"new")
    assert contents(tmp_path) == ["out"]


def test_a_full_disk_keeps_what_could_not_be_replaced(tmp_path, monkeypatch):
    (tmp_path / "out").write_bytes(b"old, and longer")
    write = Path.write_bytes

    def half(path, data):
        if path.name == "out" and data == b"new":
            write(path, b"n")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    monkeypatch.setattr(os, "replace", failing(errno.EROFS))
    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(UserError, match=r"cannot write .*: No space left"):
        write_whole(tmp_path / "out", b"new")
    assert (tmp_path / "out").read_bytes() == b"old, and longer" and contents(tmp_path) == ["out"]


def test_a_file_that_may_be_written_and_not_read_is_written_to(tmp_path, monkeypatch):
    (tmp_path / "out").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", failing(errno.EROFS))
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)
    monkeypatch.setattr(Path, "read_bytes", failing(errno.EACCES))
    write_whole(tmp_path / "out", b"new")
    with (tmp_path / "out").open("rb") as file:
        assert file.read() == b"new"


def test_a_folder_is_no_place_for_a_file(tmp_path):
    for check in (check_writable, lambda path: write_whole(path, b"")):
        with pytest.raises(UserError, match=f"{tmp_path}"):
            check(tmp_path)
    assert contents(tmp_path) == []


def test_a_file_is_no_place_for_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(UserError, match=f"{tmp_path}/file is a file: give the name of a folder"):
        check_folder(tmp_path / "file")
    for check in (check_folder, check_writable, lambda path: write_whole(path, b"")):
        with pytest.raises(UserError, match=r"cannot write|is a file"):
            check(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_what_exists_and_is_no_folder_is_no_place_for_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "link"):
        with pytest.raises(UserError, match=f"{name} is no folder: give the name of a folder"):
            check_folder(tmp_path / name)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "choose another place or make room there"),
        (errno.EROFS, "choose another place or make it writable"),
        (errno.EACCES, "choose another place or make it writable"),
        (errno.ENOENT, "choose another place"),  # in /proc
    ],
)
def test_what_to_do_fits_the_reason(tmp_path, monkeypatch, code, remedy):
    monkeypatch.setattr(Path, "write_bytes", failing(code))
    for write in (check_folder, lambda path: write_whole(path / "file", b"")):
        with pytest.raises(UserError) as error:
            write(tmp_path)
        assert str(error.value).endswith(f": {os.strerror(code)}; {remedy}")


def test_checking_makes_the_folder_and_leaves_nothing_in_it(tmp_path):
    check_writable(tmp_path / "a" / "out.csv")
    check_folder(tmp_path / "b" / "c")
    assert contents(tmp_path / "a") == contents(tmp_path / "b" / "c") == []


def test_checking_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", failing(errno.ENOSPC))
    with pytest.raises(UserError, match=r"cannot write .*: No space left on device"):
        check_writable(tmp_path / "out.csv")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_device_that_is_full():
    check_writable("/dev/full")
    with pytest.raises(UserError, match="cannot write /dev/full: No space left on device"):
        write_whole("/dev/full", b"new")
    write_whole(os.devnull, b"new")
    assert not os.path.isfile(os.devnull)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    check_writable(tmp_path / "pipe")
    writer = threading.Thread(target=write_whole, args=(tmp_path / "pipe", b"through"))
    writer.start()
    assert (tmp_path / "pipe").read_bytes() == b"through"
    writer.join()
    assert contents(tmp_path) == ["pipe"]


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout here")
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_standard_output_is_written_to(tmp_path, kind):
    code = "from inference import files as f; f.check_writable(p := '/dev/stdout')\n"
    code += "f.write_whole(p, b'rows\\n')"
    root = Path(files.__file__).parent.parent
    if kind == "pipe":
        run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True)
        assert (run.stdout, run.stderr) == (b"rows\n", b"")
        return
    (tmp_path / "log").write_bytes(b"before\n")  # as `>> log` does, and something comes after
    with (tmp_path / "log").open("ab") as log:
        subprocess.run([sys.executable, "-c", code], cwd=root, stdout=log, check=True)
        log.write(b"after\n")
    assert (tmp_path / "log").read_bytes() == b"before\nrows\nafter\n"
    assert contents(tmp_path) == ["log"]


def test_many_threads_write_into_one_folder(tmp_path):
    names = [f"{n}" for n in range(64)]
    threads = [threading.Thread(target=write_whole, args=(tmp_path / n, n.encode())) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(tmp_path) == sorted(names)
    assert all((tmp_path / name).read_text() == name for name in names)


def test_temporary_files_go_where_there_is_room_for_some(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere/at/all"])
    monkeypatch.setattr(tempfile, "tempdir", None)
    with files.scratch(tmp_path) as folder:
        assert folder.parent == tmp_path.resolve()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"no place for temporary files: .*set TMPDIR"):
        with files.scratch(tmp_path / "gone"):
            pass


def test_a_staged_file_is_there_when_all_else_is(tmp_path):
    (tmp_path / "out").write_bytes(b"old")
    with files.staged(tmp_path / "out", b"new"):
        assert (tmp_path / "out").read_bytes() == b"old"
    assert (tmp_path / "out").read_bytes() == b"new"
    with pytest.raises(ZeroDivisionError), files.staged(tmp_path / "out", b"newer"):
        raise ZeroDivisionError
    assert (tmp_path / "out").read_bytes() == b"new" and contents(tmp_path) == ["out"]


@pytest.mark.parametrize("code", [errno.EBUSY, errno.ENOSPC])
def test_a_staged_file_that_cannot_be_renamed(tmp_path, monkeypatch, code):
    (tmp_path / "out").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", failing(code))
    if code == errno.EBUSY:  # a mount point
        with files.staged(tmp_path / "out", b"new"):
            pass
    else:
        with pytest.raises(UserError, match="cannot write"), files.staged(tmp_path / "out", b"new"):
            pass
    wanted = b"new" if code == errno.EBUSY else b"old"
    assert (tmp_path / "out").read_bytes() == wanted and contents(tmp_path) == ["out"]


def test_a_lock_keeps_others_out_and_its_holder_in(tmp_path):
    order = []

    def other():
        with files.locked(tmp_path):
            order.append("other")

    with files.locked(tmp_path), files.locked(tmp_path / "."):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.1)
        order.append("mine")
    thread.join()
    assert order == ["mine", "other"] and contents(tmp_path) == []
    with files.locked(tmp_path / "nowhere"):  # as on a drive without locks
        order.append("all the same")


def test_a_name_that_is_too_long_is_found_out_before_the_work(tmp_path):
    with pytest.raises(UserError, match="File name too long"):
        check_writable(tmp_path / ("x" * 256))


def test_names_are_shown_whatever_they_hold():
    names = {"ü.png": "ü.png", "caf\udce9": "caf\ufffd", "a\ud800é": "a?é"}
    assert {name: files.in_words(name) for name in names} == names
    assert files.in_one_line("a\nb\r\x1b[2J\u2028\x85é") == r"a\nb\r\x1b[2J\u2028\x85é"
