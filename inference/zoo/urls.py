"""From the link that a browser shows to the url under which the file itself can be fetched.

Most hosts have a page about a file beside the file, and the page is what people copy. A checkpoint
that is recorded under it cannot be had by anyone. `direct` turns what is meant into what works,
and refuses the rest while somebody is there to mend it.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import NamedTuple

from inference import UserError

FORMS = "a url is gdrive:ID, https://HOST/FILE, http://HOST/FILE or file:PATH"

_DRIVE = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
_HUGGING_FACE = ("huggingface.co", "hf.co", "hf-mirror.com")
# Hosts that show a page to programs too, and what they are called.
_PAGES = {
    "mega.nz": "MEGA",
    "we.tl": "WeTransfer",
    "wetransfer.com": "WeTransfer",
    "1drv.ms": "OneDrive",
    "onedrive.live.com": "OneDrive",
    "pan.baidu.com": "Baidu",
    "terabox.com": "TeraBox",
    "colab.research.google.com": "Colab",
}
_KNOWN = (*_DRIVE, *_HUGGING_FACE, *_PAGES, "github.com", "raw.githubusercontent.com", "gitlab.com")
_KNOWN += ("dropbox.com", "bitbucket.org", "codeberg.org", "zenodo.org")
# Parts of a query with which a link is signed for some hours or days.
_EXPIRING = ("x-amz-expires", "x-goog-expires", "x-amz-signature", "x-goog-signature")


class _Link(NamedTuple):
    """A url of the web, its host in lower case and without `www.`, its path without the query."""

    scheme: str
    host: str
    place: str  # the host as it was written, with its port
    path: str
    query: str

    def parts(self) -> list[str]:
        return [part for part in self.path.split("/") if part]

    def value(self, key: str) -> str:
        return urllib.parse.parse_qs(self.query).get(key, [""])[0]

    def with_value(self, key: str, value: str) -> str:
        """The query with one of its values set."""
        pairs = urllib.parse.parse_qsl(self.query, keep_blank_values=True)
        return urllib.parse.urlencode([pair for pair in pairs if pair[0] != key] + [(key, value)])

    def at(self, *parts: str, host: str = "", query: str = "") -> str:
        """The url of another place on the same host, or on another one."""
        address = (self.scheme, host or self.place, "/" + "/".join(parts), query, "")
        return urllib.parse.urlunsplit(address)

    def __str__(self) -> str:
        return urllib.parse.urlunsplit((self.scheme, self.place, self.path, self.query, ""))


def direct(url: str) -> str:
    """Return the url under which the file that `url` means can be fetched.

    Links to Google Drive become `gdrive:ID`; pages about a file on GitHub, GitLab, Hugging Face,
    Dropbox and their like become the link to the file; all else is left as it is.

    Raises:
        UserError: nothing can be fetched from it; one line says why, and which forms there are.
    """
    if not isinstance(url, str):
        raise UserError(f"url {url!r} is no text; {FORMS}")
    text = url.strip().strip("<>").strip()
    try:
        return _direct(text)
    except ValueError as reason:  # urllib's too, of what it cannot take apart
        raise UserError(f"url {url!r}: {reason}; {FORMS}") from None


def _direct(url: str) -> str:
    if not url:
        raise ValueError("it is empty")
    if not url.isprintable():
        raise ValueError("it has a line break or another control character in it")
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", url) and _bare_host(url) in _KNOWN:
        url = f"https://{url}"
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if not colon or (not rest.startswith("//") and _is_windows_or_host(scheme, rest)):
        raise ValueError(_without_scheme(url))
    if scheme == "gdrive":
        return f"gdrive:{_drive_id(rest.strip())}"
    if scheme == "file":
        return f"file:{_file(rest)}"
    if scheme not in ("http", "https"):
        raise ValueError(f"nothing is fetched by {scheme}:")
    link = _taken_apart(scheme, rest)
    for host in (_drive, _github, _gist, _gitlab, _gitea, _bitbucket, _hugging_face, _dropbox):
        found = host(link)
        if found:
            return found
    return _elsewhere(link)


def beside(folder: str, name: str) -> str:
    """Return the url of a file in a folder of the web, which may be the page about the folder.

    Of GitHub and Hugging Face that is a `/tree/` page, or the page about a release.

    Raises:
        UserError: as `direct`.
    """
    folder = folder.strip().rstrip("/")
    host = _bare_host(folder.split("://")[-1])
    if host in ("github.com", "gitlab.com", *_HUGGING_FACE):
        folder = re.sub(r"/tree/", "/blob/", folder, count=1)
        folder = re.sub(r"/releases/tag/", "/releases/download/", folder, count=1)
        folder = re.sub(r"/releases/latest$", "/releases/latest/download", folder)
    return direct(f"{folder}/{urllib.parse.quote(name)}")


def _bare_host(text: str) -> str:
    return re.sub(r"^www\.", "", re.split(r"[/?#]", text)[0].lower())


def _is_windows_or_host(scheme: str, rest: str) -> bool:
    """Whether the colon is that of `C:\\...` or of `host:8000/...`."""
    return len(scheme) == 1 or "." in scheme or bool(re.match(r"\d+(/|$)", rest))


def _without_scheme(url: str) -> str:
    if re.fullmatch(r"[\w-]{20,}|1[\w-]{10,}", url, re.ASCII):
        return f"it has no scheme (of a file on Google Drive it is gdrive:{url})"
    if re.match(r"[A-Za-z]:[\\/]|[\\/~.]", url):
        return "it has no scheme (of a file on a shared disk it is file:PATH)"
    return "it has no scheme, like https: or gdrive:"


def _taken_apart(scheme: str, rest: str) -> _Link:
    if not re.match(r"//[^/?#]", rest):
        raise ValueError("it has no host")
    if re.search(r"\s", rest):
        raise ValueError("it has a blank in it (of a file's name it is %20)")
    address = urllib.parse.urlsplit(f"{scheme}:{rest}")
    if "@" in address.netloc:
        raise ValueError("it has a user name in it, and whoever has the repository would have it")
    port = address.port  # urllib reads it here, and says what is wrong with it
    host = (address.hostname or "").rstrip(".")
    if not host or ".." in host or re.search(r"[^\w.:%-]", host):
        raise ValueError(f"{address.netloc!r} is no host")
    try:
        named = host if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{host!r} is no host") from None
    place = f"[{named}]" if ":" in named else named
    place += "" if port is None else f":{port}"
    # What a server has beyond ASCII is sent percent-encoded; what is so already stays.
    path, query = (
        urllib.parse.quote(part, safe="%/:=&?~#+!$,;'@()*[]-._")
        for part in (address.path, address.query)
    )
    return _Link(scheme, re.sub(r"^www\.", "", named.lower()), place, path, query)


def _file(rest: str) -> str:
    if rest.startswith("//"):
        host, slash, _ = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise ValueError(
                f"{host!r} would be a host (file:///PATH is seen from /, file:PATH from the "
                "repository)"
            )
        rest = f"//{rest[2 + len(host) :]}"
    if not rest.strip("/ ") or rest.endswith("/"):
        raise ValueError("it names no file")
    return rest


def _drive_id(text: str) -> str:
    """Read what stands behind `gdrive:`: an ID, or a link with one in it."""
    if re.match(r"https?:", text, re.IGNORECASE) or _bare_host(text) in _DRIVE:
        found = _direct(text)
        if not found.startswith("gdrive:"):
            raise ValueError("it is no link to Google Drive")
        return found[len("gdrive:") :]
    match = re.match(r"/*(?:file/)?(?:d/)?([A-Za-z0-9_-]+)(?:$|[/?&#])", text)
    if not match:
        raise ValueError("no file ID (of a link .../file/d/ID/view it is the part after /d/)")
    return match.group(1)


def _drive(link: _Link) -> str | None:
    if re.search(r"-docs\.googleusercontent\.com$", link.host):
        raise ValueError("it is a link that expires; share the file, and take that link")
    if link.host not in _DRIVE:
        return None
    parts = link.parts()
    if {"folders", "folderview", "embeddedfolderview", "my-drive"}.intersection(parts):
        raise ValueError("it is a folder of Google Drive; share the file in it, and take that link")
    if {"document", "spreadsheets", "presentation", "forms"}.intersection(parts):
        raise ValueError("it is a document of Google's; upload the checkpoint as a file")
    # /file/d/ID/view, /file/u/0/d/ID/edit, /a/school.edu/file/d/ID; /open?id=ID, /uc?id=ID, ...
    identifier = parts[parts.index("d") + 1] if "d" in parts[:-1] else link.value("id")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", identifier):
        raise ValueError("it is a page of Google Drive without a file's ID")
    return f"gdrive:{identifier}"


def _github(link: _Link) -> str | None:
    if link.host == "raw.githubusercontent.com" and link.value("token"):
        raise ValueError("it is a link to a private repository, and expires")
    if link.host != "github.com":
        return None
    parts = link.parts()
    kind = parts[2] if len(parts) > 2 else ""
    if kind in ("blob", "raw", "blame", "edit") and len(parts) > 4:
        return link.at(*parts[:2], "raw", *parts[3:])
    if kind == "releases":
        named = (parts[3:4] == ["download"] and len(parts) == 6) or (
            parts[3:5] == ["latest", "download"] and len(parts) == 6
        )
        if named:
            return link.at(*parts)
        raise ValueError(
            "it is a page about a release (the file is at "
            "https://github.com/USER/REPOSITORY/releases/download/TAG/FILE)"
        )
    pages = ("tree", "blob", "raw", "blame", "edit", "commit", "commits", "issues", "pull", "pulls")
    if len(parts) < 3 or kind in (*pages, "tags", "actions", "wiki", "suites"):
        raise ValueError(
            "it is a page of GitHub's and no file (a file is at "
            "https://github.com/USER/REPOSITORY/raw/BRANCH/FILE)"
        )
    return None


def _gist(link: _Link) -> str | None:
    if link.host == "gist.github.com" and "raw" not in link.parts():
        raise ValueError("it is a page about a gist; take the link of its button Raw")
    return None


def _gitlab(link: _Link) -> str | None:
    """GitLab stands on many hosts, and marks its own pages with /-/."""
    match = re.match(r"(/.+/-)/(blob|raw|tree|blame|edit)/(.*)", link.path)
    if match and match.group(2) == "tree":
        raise ValueError("it is a page about a folder")
    if match:
        return link.at(*f"{match.group(1)}/raw/{match.group(3)}".strip("/").split("/"))
    if link.host == "gitlab.com" and len(link.parts()) < 3:
        raise ValueError("it is a page of GitLab's and no file")
    return None


def _gitea(link: _Link) -> str | None:
    match = re.match(r"/([^/]+/[^/]+)/(?:src|raw)/(branch|tag|commit)/([^/]+/.+)", link.path)
    if match:  # Codeberg, Forgejo
        return link.at(match.group(1), "raw", match.group(2), match.group(3))
    return None


def _bitbucket(link: _Link) -> str | None:
    parts = link.parts()
    if link.host != "bitbucket.org" or parts[2:3] not in (["src"], ["raw"]):
        return None
    if len(parts) < 5:
        raise ValueError("it is a page about a folder")
    return link.at(*parts[:2], "raw", *parts[3:])


def _hugging_face(link: _Link) -> str | None:
    if link.host not in _HUGGING_FACE:
        return None
    host = "huggingface.co" if link.host == "hf.co" else link.place
    parts = link.parts()
    if parts[:1] == ["api"]:
        return None
    start = 3 if parts[:1] in (["datasets"], ["spaces"]) else 2
    # /raw/ gives large files as a pointer to them
    if parts[start : start + 1] in (["blob"], ["resolve"], ["raw"]) and len(parts) > start + 2:
        query = link.query if parts[start] == "resolve" else ""
        rest = parts[start + 1 :]
        return link.at(*parts[:start], "resolve", *rest, host=host, query=query)
    raise ValueError(
        "it is a page of Hugging Face's and no file (a file is at "
        "https://huggingface.co/USER/REPOSITORY/resolve/main/FILE)"
    )


def _dropbox(link: _Link) -> str | None:
    if link.host != "dropbox.com":
        return None
    parts = link.parts()
    if parts[:1] == ["sh"] or parts[:2] == ["scl", "fo"]:
        raise ValueError("it is a folder of Dropbox; share the file in it, and take that link")
    if parts[:1] not in (["s"], ["scl"], ["t"]):
        raise ValueError("it is a page of Dropbox's; share the file, and take that link")
    if link.value("raw") == "1":
        return str(link)
    return link.at(*parts, query=link.with_value("dl", "1"))


def _elsewhere(link: _Link) -> str:
    keys = {key.lower() for key in urllib.parse.parse_qs(link.query)}
    if keys.intersection(_EXPIRING) or {"expires", "signature"} <= keys:
        raise ValueError("it is a link that expires")
    for host, name in _PAGES.items():
        if link.host == host or link.host.endswith(f".{host}"):
            raise ValueError(f"{name} shows a page there and no file; host it elsewhere")
    if re.search(r"(^|\.)sharepoint\.com$", link.host) and re.match(r"/:[a-z]:/", link.path):
        if link.path.startswith("/:f:/"):
            raise ValueError("it is a folder of SharePoint's; share the file in it")
        return link.at(*link.parts(), query=link.with_value("download", "1"))
    if link.host == "zenodo.org":
        preview = re.match(r"/records?/(\d+)/(?:preview|files)/(.+)", link.path)
        if preview:
            return link.at("records", preview.group(1), "files", preview.group(2))
        if re.fullmatch(r"/records?/\d+/?", link.path):
            raise ValueError("it is a page about a record; take the link of the file")
    if link.host == "app.box.com" and not link.path.startswith("/shared/static/"):
        raise ValueError("it is a page of Box's; take its direct link (/shared/static/...)")
    if not link.path.strip("/") and not link.query:
        raise ValueError("it names a host and no file")
    return str(link)
