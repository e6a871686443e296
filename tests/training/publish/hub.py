"""A hub on this machine: the endpoints of Hugging Face that an upload uses, and GitHub's files."""

import base64
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

TOKEN = "hf_of_a_student"


class Hub:
    """A server of repositories.

    Attributes:
        repositories: by name, their commits: (hash, {file's name: content}).
        files: what anybody may fetch besides, by path: GitHub's releases.
        answers: (method and path, as a pattern) -> status and message, in place of what is right;
            with 0 it hangs up.
        fetched: headers of what was fetched without a login.
    """

    def __init__(self):
        self.repositories, self.files, self.answers = {}, {}, {}
        self.blobs, self.fetched = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b"".join(iter(self.chunk, b""))
                status, content, headers = outer.answer(self, urllib.parse.unquote(self.path), body)
                self.close_connection = not status
                if not status:
                    return
                self.send_response(status)
                headers = {"Content-Length": str(len(content)), **headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def chunk(self):
                content = self.rfile.read(int(self.rfile.readline(), 16))
                self.rfile.readline()
                return content

            do_GET = do_HEAD = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, request, path, body):
        """Return the status, content and headers of an answer."""
        path = path.split("?")[0]
        for pattern, (status, message) in self.answers.items():
            if re.match(pattern, f"{request.command} {path}"):
                return status, json.dumps({"error": message}).encode(), {}
        if path in self.files:
            self.fetched.append(dict(request.headers))
            return 200, self.files[path], {}
        if request.command in ("GET", "HEAD") and "/resolve/" in path:
            return self.resolve(request, *re.fullmatch("/(.*)/resolve/(.*?)/(.*)", path).groups())
        if request.command == "PUT" and path.startswith("/blobs/"):  # signed: without a login
            self.blobs[path[len("/blobs/") :]] = body
            return 200, b"", {}
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, b'{"error": "Invalid username or password."}', {}
        found = self.api(path, json.loads(body) if body and "commit" not in path else body)
        return (404, b"{}", {}) if found is None else (found[0], json.dumps(found[1]).encode(), {})

    def api(self, path, body):
        if path == "/api/whoami-v2":
            return 200, {"name": "ada"}
        if path == "/api/repos/create":
            name = f"{body['organization']}/{body['name']}"
            there = name in self.repositories
            self.repositories.setdefault(name, [("0" * 40, {".gitattributes": b""})])
            return 409 if there else 200, {"url": f"{self.url}/{name}"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path.endswith("/info/lfs/objects/batch"):
            put = [{"upload": {"href": f"{self.url}/blobs/{of['oid']}"}} for of in body["objects"]]
            objects = [dict(of, actions=do) for of, do in zip(body["objects"], put)]
            return 200, {"transfer": "basic", "objects": objects}
        match = re.fullmatch("/api/models/(.*)/(preupload|commit|revision)/main", path)
        if not match or match[1] not in self.repositories:
            return None
        commits = self.repositories[match[1]]
        if match[2] == "revision":
            return 200, {"id": match[1], "sha": commits[-1][0], "siblings": []}
        if match[2] == "preupload":
            found = [self.preupload(commits[-1][1], of["path"]) for of in body["files"]]
            return 200, {"files": found}
        self.commit(commits, [json.loads(line) for line in body.splitlines()])
        oid = commits[-1][0]
        return 200, {"commitOid": oid, "commitUrl": f"{self.url}/{match[1]}/commit/{oid}"}

    def preupload(self, there, name):
        large = name.endswith(".pth")
        found = {"path": name, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        if name in there:
            blob = there[name] if large else b"blob %d\0" % len(there[name]) + there[name]
            found["oid"] = (hashlib.sha256 if large else hashlib.sha1)(blob).hexdigest()
        return found

    def commit(self, commits, lines):
        there = dict(commits[-1][1])
        for value in (line["value"] for line in lines if line["key"] == "file"):
            there[value["path"]] = base64.b64decode(value["content"])
        for value in (line["value"] for line in lines if line["key"] == "lfsFile"):
            there[value["path"]] = self.blobs[value["oid"]]
        commits.append((hashlib.sha1(b"%d" % len(commits)).hexdigest(), there))

    def resolve(self, request, name, revision, file):
        commits = dict(self.repositories.get(name, []))
        if not commits:
            return 404, b"", {"X-Error-Code": "RepoNotFound"}
        commit = list(commits)[-1] if revision == "main" else revision
        content = commits[commit].get(file)
        if content is None:
            return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
        if file.endswith(".pth"):
            self.fetched.append(dict(request.headers))
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return 200, content, {"ETag": etag, "X-Repo-Commit": commit}
