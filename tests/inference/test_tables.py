import csv

import pytest

from inference import UserError
from inference.tables import Row, locate, read_columns, read_rows, write_table

ROWS = [Row("7", "0000.jpg"), Row("3", "13_15.jpg")]


@pytest.mark.parametrize(
    "text",
    [
        b"id,filename,label\n7,0000.jpg,None\n3,13_15.jpg,None\n",
        b"id,filename,label\n7,0000.jpg,\n3,13_15.jpg,\n",
        b"id,filename\n7,0000.jpg\n3,13_15.jpg",
        b"id,filename,label\n7,0000.jpg\n3,13_15.jpg\n",
        b"\xef\xbb\xbfid,filename,label\r\n7,0000.jpg,None\r\n3,13_15.jpg,None\r\n",
        b"label,note,filename,id\nNone,x,0000.jpg,7\n12,,13_15.jpg,3\n",
        b'"id", filename ,label\n"7","0000.jpg",4\n\n3,13_15.jpg,5\n\n\n',
        b"id,filename,label\r7,0000.jpg,None\r3,13_15.jpg,None\r",
        b"\n id,filename,label\r\r\n7,0000.jpg,None\r\r\n\r\r\n  \n3,13_15.jpg,None\n,,\n",
        b"id, filename, label\n7, 0000.jpg, None\n3, 13_15.jpg, None\n",
        b"id,filename,label\n7,  0000.jpg , None\n3, 13_15.jpg, \n",
        b'"id", "filename", "label"\n"7", "0000.jpg", "None"\n"3", "13_15.jpg", ""\n',
        b"id;filename;label\n7;0000.jpg;None\n3;13_15.jpg;None\n",
        b"id\tfilename\tlabel\n7\t0000.jpg\tNone\n3\t13_15.jpg\tNone\n",
        "\ufeffid\tfilename\r\n7\t0000.jpg\r\n3\t13_15.jpg\r\n".encode("utf-16-le"),
        "id,filename\n7,0000.jpg\n3,13_15.jpg\n".encode("utf-16-be"),
        b"id,filename,label\n7,0000.jpg,None,,\n3,13_15.jpg,None,more\n",
        b'id,filename,label,note\n7,0000.jpg,None,"of two\nlines"\n3,13_15.jpg,None,\n',
    ],
    ids="None empty absent short BOM-CRLF columns quoted-blank-lines CR CRCRLF blanks rows-blanks "
    "quoted-blanks semicolons tabs utf-16 no-BOM longer note".split(),
)
def test_the_same_rows_in_many_clothes(tmp_path, text):
    (tmp_path / "in.csv").write_bytes(text)
    assert read_rows(tmp_path / "in.csv") == ROWS


def test_order_and_duplicates_are_kept(tmp_path):
    (tmp_path / "in.csv").write_text("id,filename,label\n9,b.jpg,\n1,a.jpg,\n9,b.jpg,\n")
    assert [row.id for row in read_rows(tmp_path / "in.csv")] == ["9", "1", "9"]


@pytest.mark.parametrize(
    "text, message",
    [
        (b"", "no column 'id' in .*: its first line is nothing"),
        (b"\n\n", "no column 'id'"),
        (b"id,filename,label\n", "no row in"),
        (b"id,label\n1,2\n", "no column 'filename' in .*: its first line is 'id, label'"),
        (b"filename,label\na.jpg,2\n", "no column 'id'"),
        (b"id,filename,label\n1,a.jpg,\n2\n", "line 3 of .* names no image"),
        (b"id,filename,label\n1,,None\n", "line 2 of .* names no image"),
        (b'id,filename\n1,"a' + b"x" * 200_000 + b'"\n', "is no csv: field larger"),
        (bytes(range(256)) * 40, "no column|no csv"),
        (b"\xff\xfe" + "id,filename\n1,a.jpg".encode("utf-16-le") + b"\0", "like UTF-16, but byte"),
        (b"id,filename\r\n1,a.jpg\r\n2,b\0.jpg\r\n", "line 3 holds a NUL byte"),
        (b"id,filename,filename\n1,a.jpg,b.jpg\n", "2 columns 'filename'"),
        (b'id,filename,label\n1,"say "hi".jpg",\n', "line 2 of .* goes on after a closing quote"),
    ],
    ids="empty blank header-only no-filename no-id short no-name huge binary utf-16 NUL twice "
    "quotes".split(),
)
def test_an_unusable_csv_is_one_line(tmp_path, text, message):
    (tmp_path / "in.csv").write_bytes(text)
    with pytest.raises(UserError, match=message) as caught:
        read_rows(tmp_path / "in.csv")
    assert str(caught.value).isprintable() and str(tmp_path) in str(caught.value)


UNCLOSED = {
    "the last": (4, ["1,a.jpg,None", "2,b.jpg,None", '3,"c.jpg,None']),
    "the first": (2, ['1,"a.jpg,None', "2,b.jpg,None", "3,c.jpg,None"]),
    "two, of which the second closes the first": (2, ['1,"a.jpg,None', '2,b.jpg",None', "3,c,"]),
    "two that both open": (3, ["1,a.jpg,None", '2,"b.jpg,None', '3,"c.jpg,None']),
    "an id": (2, ['"1,a.jpg,None', "2,b.jpg,None"]),
    "a label": (3, ["1,a.jpg,None", '2,b.jpg,"None', '3,c.jpg,None"']),
    "of many rows": (3, ["", '0,"a.jpg,', *(f"{i},{i:04}.jpg,None" for i in range(20_000))]),
}


@pytest.mark.parametrize("case", UNCLOSED)
def test_a_quote_that_is_not_closed_loses_no_row(tmp_path, case):
    number, lines = UNCLOSED[case]
    (tmp_path / "in.csv").write_text("\n".join(["id,filename,label", *lines, ""]))
    with pytest.raises(UserError, match=f"line {number} of .* opens a quote that is not closed"):
        read_rows(tmp_path / "in.csv")


def test_a_name_of_two_lines_is_a_name(tmp_path):
    (tmp_path / "in.csv").write_text('id,filename,label\n1,"a\nb.jpg",None\n2,c.jpg,None\n')
    assert [row.filename for row in read_rows(tmp_path / "in.csv")] == ["a\nb.jpg", "c.jpg"]


def test_blanks_that_are_part_of_a_name_stay(tmp_path):
    (tmp_path / "in.csv").write_text("id,filename\n1, a.jpg\n2,b.jpg \n3,c.jpg\n")
    names = [row.filename for row in read_rows(tmp_path / "in.csv")]
    assert names == [" a.jpg", "b.jpg ", "c.jpg"]
    for name in (" a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    assert [locate(tmp_path, name).name for name in names] == [" a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize("name, found", [(" a.jpg", " a.jpg"), ("a.jpg", "a.jpg")])
def test_a_blank_before_every_name_is_theirs_where_files_say_so(tmp_path, name, found):
    (tmp_path / "in.csv").write_text("id,filename,label\n1, a.jpg,None\n2, a.jpg,None\n")
    (tmp_path / name).touch()
    assert read_rows(tmp_path / "in.csv", tmp_path) == [Row("1", found), Row("2", found)]


def test_rows_keep_their_line_and_short_ones_lack_values(tmp_path):
    (tmp_path / "in.csv").write_text("filename,label\n\na.jpg,3\nb.jpg\n")
    assert read_columns(tmp_path / "in.csv", ("label", "filename")) == [
        (3, ("3", "a.jpg")),
        (4, (None, "b.jpg")),
    ]


def test_a_csv_that_is_not_there(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(UserError, match=f"cannot read the csv {path}: "):
            read_rows(path)


def test_names_come_out_as_they_went_in(tmp_path):
    names = ['"a, b.jpg"', '"say ""hi"".jpg"', "two words.jpg", "ü漢.jpg"]
    text = "id,filename,label\n" + "".join(f"{i},{name},5\n" for i, name in enumerate(names))
    (tmp_path / "in.csv").write_bytes(text.encode() + b"4,\xff\xfe.jpg,5\n")
    rows = read_rows(tmp_path / "in.csv")
    assert [row.filename for row in rows[:4]] == [
        "a, b.jpg",
        'say "hi".jpg',
        "two words.jpg",
        "ü漢.jpg",
    ]
    write_table(tmp_path / "out.csv", ("id", "filename", "label"), [(*row, 5) for row in rows])
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "in.csv").read_bytes()


def test_a_carriage_return_in_a_name_ends_no_line(tmp_path):
    rows = [("1", "a\rb.jpg", "3"), ("2", "c.jpg", "4")]
    write_table(tmp_path / "out.csv", ("id", "filename", "label"), rows)
    with open(tmp_path / "out.csv", newline="") as file:
        assert [tuple(row) for row in csv.reader(file)][1:] == rows
    assert (tmp_path / "out.csv").read_bytes().endswith(b"\n2,c.jpg,4\n")


def test_the_file_has_plain_line_ends(tmp_path):
    write_table(tmp_path / "out.csv", ("filename", "label"), [("0000.png", 3), ("0001.png", 12)])
    assert (tmp_path / "out.csv").read_bytes() == b"filename,label\n0000.png,3\n0001.png,12\n"
