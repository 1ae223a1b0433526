#!/usr/bin/env python3
"""Replays the checks of the OCI distribution-spec conformance suite against a running registry.

Standard library only. One line per check: PASS, FAIL, or SKIP (the registry says it does not support an optional API: what the
official suite calls a Skip). Exit code 1 when anything failed (with --strict: also when anything was skipped).

  conformance.py --registry 127.0.0.1:5000 --plain-http --username u --password p --version dev [--extra] [--strict]
"""
import argparse
import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import re
import secrets
import ssl
import sys
import tarfile
import urllib.parse as up

MT_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MT_INDEX = "application/vnd.oci.image.index.v1+json"
MT_CONFIG = "application/vnd.oci.image.config.v1+json"
MT_EMPTY = "application/vnd.oci.empty.v1+json"
MT_LAYER = "application/vnd.oci.image.layer.v1.tar"
MT_LAYER_GZ = MT_LAYER + "+gzip"
MT_ND = "application/vnd.oci.image.layer.nondistributable.v1.tar"
MT_ND_GZ = MT_ND + "+gzip"
MT_OCTET = "application/octet-stream"
MT_TYPE1 = "application/vnd.example.oci.conformance.v1"
MT_TYPE2 = "application/vnd.example.oci.conformance.v2"
ACCEPT = [("Accept", MT_INDEX), ("Accept", MT_MANIFEST)]
CODES = set("BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID MANIFEST_BLOB_UNKNOWN MANIFEST_INVALID MANIFEST_UNKNOWN "
            "NAME_INVALID NAME_UNKNOWN SIZE_INVALID UNAUTHORIZED DENIED UNSUPPORTED TOOMANYREQUESTS".split())
CHUNK_FLOOR = 1024
BLANK_SIZES = 512


class Problem(Exception):
    """The registry's answer breaks an expectation."""


class Unsupported(Exception):
    """The registry documents, by its answer, that it has no such API."""


def digest(data, algo="sha256"):
    return f"{algo}:{hashlib.new(algo, data).hexdigest()}"


def algo_of(dig):
    return dig.split(":", 1)[0]


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()


# ---------------------------------------------------------------------------------------------------------------- HTTP


class Answer:
    def __init__(self, status, headers, body, url):
        self.status, self.headers, self.body, self.url = status, headers, body, url

    def values(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def get(self, name):
        found = self.values(name)
        return found[0] if found else ""


class Client:
    """One registry client: keep-alive, 401 answered once per request, credentials cached as the official suite does."""

    REPO = re.compile(r"/v2/([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
                      r"(/(?:blobs|manifests|tags|referrers)/[^/]+|/blobs/uploads/[^/]*)")

    def __init__(self, user, password, context, cache_auth=True, verbose=False):
        self.user, self.password = user or "", password or ""
        self.context, self.verbose = context, verbose
        self.cached = {} if (user and password and cache_auth) else None
        self.pool = {}

    def connection(self, scheme, netloc, fresh=False):
        key = (scheme, netloc)
        if fresh and key in self.pool:
            self.pool.pop(key).close()
        if key not in self.pool:
            if scheme == "https":
                self.pool[key] = http.client.HTTPSConnection(netloc, timeout=120, context=self.context)
            else:
                self.pool[key] = http.client.HTTPConnection(netloc, timeout=120)
        return self.pool[key]

    def once(self, method, url, headers, body, chunked, length):
        parts = up.urlsplit(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        for attempt in (0, 1):
            conn = self.connection(parts.scheme, parts.netloc, fresh=attempt > 0)
            try:
                conn.putrequest(method, target, skip_accept_encoding=True)
                conn.putheader("User-Agent", "conformance-replay/1")
                if method != "HEAD" and not any(k.lower() == "range" for k, _ in headers):
                    conn.putheader("Accept-Encoding", "gzip")
                for key, value in headers:
                    conn.putheader(key, value)
                if body and chunked:
                    conn.putheader("Transfer-Encoding", "chunked")
                elif body is not None or method in ("POST", "PUT", "PATCH"):
                    conn.putheader("Content-Length", str(len(body or b"") if length is None else length))
                conn.endheaders()
                broken = False
                try:
                    self.send_body(conn, body, chunked)
                except (BrokenPipeError, ConnectionResetError):
                    broken = True  # the server answered early; its answer may still be readable
                raw = conn.getresponse()
                data = raw.read()
            except (http.client.HTTPException, ConnectionError, OSError):
                if attempt:
                    raise
                continue
            got = raw.getheaders()
            if broken or raw.will_close:
                self.connection(parts.scheme, parts.netloc, fresh=True)
            if raw.getheader("Content-Encoding", "").lower() == "gzip" and data:
                data = gzip.decompress(data)
                got = [(k, v) for k, v in got if k.lower() not in ("content-length", "content-encoding")]
            if self.verbose:
                print(f"    {method} {url} -> {raw.status}", file=sys.stderr)
            return Answer(raw.status, got, data, url)
        raise AssertionError

    @staticmethod
    def send_body(conn, body, chunked):
        if not body:
            return
        if not chunked:
            conn.send(body)
            return
        for start in range(0, len(body), 65536):
            piece = body[start:start + 65536]
            conn.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        conn.send(b"0\r\n\r\n")

    def follow(self, method, url, headers, body=None, chunked=False, length=None):
        """Like Go's client: 301/302/303 become a GET, 307/308 keep the method; Authorization stays on the same host only."""
        for _ in range(10):
            ans = self.once(method, url, headers, body, chunked, length)
            if ans.status not in (301, 302, 303, 307, 308) or not ans.get("Location"):
                return ans
            target = up.urljoin(url, ans.get("Location"))
            if up.urlsplit(target).netloc != up.urlsplit(url).netloc:
                headers = [(k, v) for k, v in headers if k.lower() != "authorization"]
            if ans.status in (301, 302, 303) and method not in ("GET", "HEAD"):
                method, body = "GET", None
            url = target
        raise Problem("too many redirects")

    def key(self, method, url):
        parts = up.urlsplit(url)
        repo = ""
        if parts.path != "/v2/":
            found = self.REPO.search(up.unquote(parts.path))
            if not found:
                raise Problem(f"no repository recognisable in the path {parts.path} (upload URLs must be /v2/<name>/blobs/uploads/<id>)")
            repo = found.group(1)
        kind = {"GET": "pull", "HEAD": "pull", "POST": "push", "PUT": "push", "PATCH": "push"}.get(method, method)
        return f"{parts.netloc}:{repo}:{kind}"

    def do(self, method, url, headers=(), body=None, chunked=False, length=None, auth=True):
        headers = list(headers)
        send = headers
        if auth and self.cached is not None and self.key(method, url) in self.cached:
            send = headers + [("Authorization", self.cached[self.key(method, url)])]
        ans = self.follow(method, url, send, body, chunked, length)
        if ans.status == 401 and auth:
            value = self.authorize(method, url, ans)
            ans = self.follow(method, url, headers + [("Authorization", value)], body, chunked, length)
        return ans

    def authorize(self, method, url, ans):
        challenge = ans.get("WWW-Authenticate")
        if not challenge:
            raise Problem(f"401 without a WWW-Authenticate header on {method} {url}")
        words = re.findall(r"bearer|basic", challenge, re.I)
        scheme = words[-1].lower() if words else ""
        basic = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if scheme == "basic":
            value = basic
        elif scheme == "bearer":
            fields = {k.lower(): v for k, v in re.findall(r'([a-zA-Z]+)="(.+?)"', challenge)}
            realm = up.urlsplit(up.urljoin(url, fields.get("realm", "")))
            query = {"service": fields.get("service", "")}
            if fields.get("scope"):
                query["scope"] = fields["scope"]
            token_url = up.urlunsplit((realm.scheme, realm.netloc, realm.path, up.urlencode(query), ""))
            got = self.follow("GET", token_url, [("Accept", "application/json"), ("Authorization", basic)])
            if got.status != 200:
                raise Problem(f"token request {token_url}: status {got.status}, expected 200")
            try:
                found = json.loads(got.body)
            except ValueError:
                raise Problem("token answer is not JSON")
            value = "Bearer " + (found.get("access_token") or found.get("token") or "")
        else:
            raise Problem(f"challenge not understood: {challenge}")
        if self.cached is not None:
            self.cached[self.key(method, url)] = value
        return value


# ------------------------------------------------------------------------------------------------------ expectations


def want_status(ans, *allowed):
    if ans.status not in allowed:
        text = ans.body[:300].decode("utf-8", "replace").strip()
        raise Problem(f"status {ans.status}, expected {' or '.join(map(str, allowed))}" + (f": {text}" if text else ""))


def want_header(ans, name, value=None):
    got = ans.values(name)
    if value is None:
        if not got:
            raise Problem(f"header {name} is missing")
    elif value not in got:
        raise Problem(f"header {name} is {got}, expected {value!r}")


def want_body(ans, body):
    if ans.body != body:
        raise Problem(f"body differs: {len(ans.body)} bytes received, {len(body)} expected")


def want_digest(ans, dig, required):
    got = ans.get("Docker-Content-Digest")
    if not got and required:
        raise Problem("header Docker-Content-Digest is missing")
    if got and dig and got != dig:
        raise Problem(f"Docker-Content-Digest is {got}, expected {dig}")


def location(ans, base):
    want_header(ans, "Location")
    return up.urljoin(base, ans.get("Location"))


def with_param(url, key, value):
    """Set one query parameter and re-encode the query sorted by key, as the official client does."""
    parts = up.urlsplit(url)
    query = [(k, v) for k, v in up.parse_qsl(parts.query, keep_blank_values=True) if k != key] + [(key, value)]
    return up.urlunsplit((parts.scheme, parts.netloc, parts.path, up.urlencode(sorted(query, key=lambda kv: kv[0])), ""))


# ---------------------------------------------------------------------------------------------------------- test data


class Data:
    """Blobs, manifests (in push order), tags and the referrers they should produce."""

    def __init__(self, name, algo="sha256"):
        self.name, self.algo = name, algo
        self.blobs, self.manifests, self.order, self.tags, self.referrers = {}, {}, [], {}, {}
        self.pushed_tags, self.tag_params, self.bad, self.made = set(), False, set(), {}

    def blob(self, body, media=MT_OCTET, inline=False):
        dig = digest(body, self.algo)
        self.blobs[dig] = body
        desc = {"mediaType": media, "digest": dig, "size": len(body)}
        if inline:
            desc["data"] = base64.b64encode(body).decode()
        return desc

    def random(self, size, media=MT_OCTET):
        return self.blob(secrets.token_bytes(size), media)

    def layer(self, number, compressed=True, inline=False):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            text = f"conformance layer {number}: {secrets.token_hex(16)}\n".encode()
            info = tarfile.TarInfo(f"./file-{number}.txt")
            info.size, info.mode = len(text), 0o644
            tar.addfile(info, io.BytesIO(text))
        body = gzip.compress(raw.getvalue()) if compressed else raw.getvalue()
        return self.blob(body, MT_LAYER_GZ if compressed else MT_LAYER, inline)

    def config(self, layers, platform=("linux", "amd64"), extra=False, inline=False):
        value = {"author": "conformance replay", "architecture": platform[1], "os": platform[0], "config": {},
                 "rootfs": {"type": "layers", "diff_ids": [digest(b"", self.algo)] * layers}}
        if extra:
            value["org." + secrets.token_hex(8)] = secrets.token_hex(8)
        return self.blob(dump(value), MT_CONFIG, inline)

    def add_manifest(self, value, tag=None):
        body = dump(value)
        dig = digest(body, self.algo)
        self.manifests[dig] = body
        self.order.append(dig)
        desc = {"mediaType": value["mediaType"], "digest": dig, "size": len(body)}
        self.made[dig] = desc
        if value.get("subject"):
            kind = value.get("artifactType") or value.get("config", {}).get("mediaType", "")
            self.referrers.setdefault(value["subject"]["digest"], []).append(
                dict(desc, artifactType=kind, annotations=value.get("annotations", {})))
        if tag:
            self.tags[tag] = dig
        return desc

    @staticmethod
    def finish(value, artifact_type, subject, notes, extra, unique):
        if artifact_type:
            value["artifactType"] = artifact_type
        if subject:
            value["subject"] = subject
        notes = dict(notes or {})
        if unique:
            notes["org.example." + secrets.token_hex(8)] = secrets.token_hex(8)
        if notes:
            value["annotations"] = notes
        if extra:
            value["org." + secrets.token_hex(8)] = secrets.token_hex(8)
        return value

    def manifest(self, config, layers, tag=None, artifact_type=None, subject=None, notes=None, extra=False, unique=False):
        value = {"schemaVersion": 2, "mediaType": MT_MANIFEST, "config": config, "layers": layers}
        return self.add_manifest(self.finish(value, artifact_type, subject, notes, extra, unique), tag)

    def index(self, children, tag=None, artifact_type=None, subject=None, notes=None, extra=False, unique=False):
        value = {"schemaVersion": 2, "mediaType": MT_INDEX, "manifests": children}
        return self.add_manifest(self.finish(value, artifact_type, subject, notes, extra, unique), tag)

    def image(self, layers=2, platform=("linux", "amd64"), compressed=True, inline=False, extra=False, **kw):
        made = [self.layer(i, compressed, inline) for i in range(layers)]
        return self.manifest(self.config(layers, platform, extra, inline), made, extra=extra, **kw)

    def artifact(self, artifact_type=MT_TYPE1, layer_type=MT_TYPE1, layer=None, **kw):
        made = self.blob(layer, layer_type) if layer is not None else self.random(2048, layer_type)
        return self.manifest(self.blob(b"{}", MT_EMPTY), [made], artifact_type=artifact_type, **kw)

    def platforms(self, maker, names=("amd64", "arm64")):
        return [dict(maker(arch), platform={"architecture": arch, "os": "linux"}) for arch in names]

    def image_index(self, tag=None, extra=False):
        children = self.platforms(lambda arch: self.image(platform=("linux", arch), extra=extra))
        return self.index(children, tag=tag, extra=extra)


def data_sets(dev, sparse):
    """The data sets in the official order."""
    made = []

    def new(name, algo="sha256"):
        made.append(Data(name, algo))
        return made[-1]

    new("image").image(tag="image")
    new("image-uncompressed").image(tag="image-uncompressed", compressed=False)
    new("large-manifest").image(tag="large-manifest", notes={f"large-annotation-{i}": "A" * 10000 for i in range(390)})
    new("index").image_index("index")
    d = new("nested-index")
    d.index([d.image_index(), d.image_index()], tag="index-of-index")
    new("empty-index").index([], tag="index")
    new("artifact").artifact(tag="artifact")
    d = new("artifact-index")
    d.index(d.platforms(lambda _: d.artifact()), tag="artifact-index", artifact_type=MT_TYPE1)
    new("artifact-without-layers").artifact(tag="artifact-without-layers", layer=b"{}", layer_type=MT_EMPTY)
    note = {"org.opencontainers.conformance": "hello conformance test"}
    d = new("artifacts-with-subject")
    subject = d.image(tag="image")
    d.image(subject=subject)
    d.artifact(subject=subject, notes=note, unique=True, tag="tagged-artifact1")
    d.artifact(MT_TYPE2, MT_OCTET, subject=subject, notes=note, unique=True, tag="tagged-artifact2")
    d = new("index-with-subject")
    subject = d.image_index("index")
    same = dict(subject=subject, notes=note, unique=True)
    d.index(d.platforms(lambda _: d.artifact(**same)), tag="tagged-artifact", artifact_type=MT_TYPE1, **same)
    ghost = {"mediaType": MT_MANIFEST, "digest": digest(b"missing content"), "size": 123}
    new("missing-subject").artifact(subject=ghost, notes=note, unique=True, tag="tagged-artifact")
    new("data-field").image(tag="data-field", inline=True)
    d = new("non-distributable-layers")
    foreign = []
    for media, size in ((MT_ND_GZ, 123456), (MT_ND, 12345)):
        dig = digest(secrets.token_bytes(256))
        foreign.append({"mediaType": media, "digest": dig, "size": size, "urls": ["https://store.example.com/blobs/sha256/" + dig[7:]]})
    d.manifest(d.config(3), foreign + [d.layer(1)], tag="non-distributable-image")
    new("custom-fields").image_index("custom-fields", extra=True)
    new("no-layers").image(tag="no-layers", layers=0)
    if sparse:
        d = new("sparse")
        d.image(tag="sparse-image")
        first = next(v for v in json.loads(d.manifests[d.order[0]])["layers"])
        del d.blobs[first["digest"]]
        lost = {"mediaType": MT_MANIFEST, "digest": digest(secrets.token_bytes(1024)), "size": 1024}
        kids = [dict(d.image(), platform={"architecture": "amd64", "os": "linux"}), dict(lost, platform={"architecture": "arm64", "os": "linux"})]
        d.index(kids, tag="sparse-index")
    new("sha512", "sha512").image_index()
    if dev:
        for algo in ("sha256", "sha512"):
            d = new("tag-param-" + algo, algo)
            d.image_index(d.name)
            d.tags.update({f"{d.name}-{i}": dig for i, dig in enumerate(d.order)})
            d.tag_params = True
    d = new("bad-digest-image")
    dig = d.image()["digest"]
    d.manifests[dig] += b"  "
    d.bad.add(dig)
    return made


# --------------------------------------------------------------------------------------------------------------- suite


class Suite:
    def __init__(self, args, context):
        self.base = ("http://" if args.plain_http else "https://") + args.registry
        self.repo, self.repo2 = args.repo1, args.repo2
        self.dev = args.version in ("dev", "1.1+dev")
        self.old = args.version == "1.0"
        self.args = args
        self.client = Client(args.username, args.password, context, not args.no_cache_auth, args.verbose)
        self.counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
        self.bad_flows = set()
        self.failures = []

    # -- reporting

    def report(self, status, name, why=""):
        self.counts[status] += 1
        if status == "FAIL":
            self.failures.append(f"{name}: {why}")
        if status != "PASS" or not self.args.quiet:
            print(f"{status} {name}" + (f" -- {why}" if why else ""), flush=True)

    def check(self, name, action, *args, **kw):
        if self.args.filter and not name.startswith(self.args.filter):
            try:
                action(*args, **kw)
                return True
            except (Problem, Unsupported, OSError, http.client.HTTPException):
                return False
        try:
            action(*args, **kw)
        except Unsupported as e:
            self.report("SKIP", name, str(e))
            return False
        except (Problem, OSError, http.client.HTTPException) as e:
            self.report("FAIL", name, f"{type(e).__name__}: {e}" if not isinstance(e, Problem) else str(e))
            return False
        except Exception as e:
            self.report("FAIL", name, f"could not judge the answer: {type(e).__name__}: {e}")
            return False
        self.report("PASS", name)
        return True

    # -- URLs

    def blob_url(self, repo, dig):
        return f"{self.base}/v2/{repo}/blobs/{dig}"

    def upload_url(self, repo):
        return f"{self.base}/v2/{repo}/blobs/uploads/"

    def manifest_url(self, repo, ref):
        return f"{self.base}/v2/{repo}/manifests/{ref}"

    # -- blob uploads

    def start(self, repo, **query):
        url = self.upload_url(repo) + ("?" + up.urlencode(query) if query else "")
        ans = self.client.do("POST", url)
        want_status(ans, 202)
        return location(ans, url), ans

    def close(self, url, dig, body=b"", headers=(), bad=False, digest_needed=True):
        url = with_param(url, "digest", dig)
        ans = self.client.do("PUT", url, [("Content-Type", MT_OCTET), *headers], body)
        if bad:
            want_status(ans, 400)
            return
        want_status(ans, 201)
        self.stored(ans, url, dig, digest_needed)

    def stored(self, ans, url, dig, digest_needed=True):
        want_digest(ans, dig, self.dev and digest_needed)
        place = location(ans, url)
        self.expected_at = (place, dig)
        got = self.client.do("GET", place)
        want_status(got, 200)
        if self.sent is not None:
            want_body(got, self.sent)

    def post_put(self, repo, dig, body, bad=False, **query):
        self.sent = body
        url, _ = self.start(repo, **query)
        self.close(url, dig, body, bad=bad)

    def post_only(self, repo, dig, body, bad=False):
        self.sent = body
        url = self.upload_url(repo) + "?" + up.urlencode({"digest": dig})
        ans = self.client.do("POST", url, [("Content-Type", MT_OCTET)], body)
        if ans.status == 202:
            self.close(location(ans, url), dig, body, bad=bad, digest_needed=False)
            raise Unsupported("content in the POST is not taken (202), PUT used instead")
        want_status(ans, 400 if bad else 201)
        if not bad:
            self.stored(ans, url, dig)

    def stream(self, repo, dig, body, bad=False, **query):
        self.sent = body
        url, _ = self.start(repo, **query)
        ans = self.client.do("PATCH", url, [("Content-Type", MT_OCTET)], body, chunked=True)
        want_status(ans, 202)
        self.close(location(ans, url), dig, bad=bad)

    def chunked(self, repo, dig, body, bad=False, put_last=False, disorder=False, **query):
        self.sent = body
        url, ans = self.start(repo, **query)
        size = max(len(body) // 3 + 1, int(ans.get("OCI-Chunk-Min-Length") or 0), CHUNK_FLOOR)
        size = min(size, len(body))
        done = 0
        while done < len(body):
            if disorder:
                url = self.wrong_chunk(url, dig, body, done, size, put_last)
            end = min(done + size, len(body))
            head = [("Content-Type", MT_OCTET), ("Content-Range", f"{done}-{end - 1}")]
            if put_last and end == len(body):
                self.close(url, dig, body[done:end], head[1:], bad)
                return
            ans = self.client.do("PATCH", url, head, body[done:end])
            want_status(ans, 202)
            if self.args.extra:
                want_header(ans, "Range", f"0-{end - 1}")
            url, done = location(ans, url), end
        self.close(url, dig, bad=bad)

    def wrong_chunk(self, url, dig, body, done, size, put_last):
        """Send a chunk that is not the next one (416), then ask where to go on (204)."""
        start = done + size if done + size < len(body) else 0
        end = min(start + size, len(body))
        method, target = "PATCH", url
        if put_last and end == len(body):
            method, target = "PUT", with_param(url, "digest", dig)
        ans = self.client.do(method, target, [("Content-Type", MT_OCTET), ("Content-Range", f"{start}-{end - 1}")], body[start:end])
        want_status(ans, 416)
        keep = up.urljoin(target, ans.get("Location")) if ans.get("Location") else url
        ans = self.client.do("GET", target)
        want_status(ans, 204)
        found = re.fullmatch(r"0-(-?\d+)", ans.get("Range"))
        if not found:
            raise Problem(f"Range of the upload status is {ans.get('Range')!r}, expected 0-<last byte>")
        if done and int(found.group(1)) != done - 1:
            raise Problem(f"Range of the upload status is {ans.get('Range')!r}, expected 0-{done - 1}")
        return up.urljoin(target, ans.get("Location")) if ans.get("Location") else keep

    def mount(self, repo, source, dig, body):
        self.sent = body
        query = {"mount": dig}
        if source:
            query["from"] = source
        url = self.upload_url(repo) + "?" + up.urlencode(sorted(query.items()))
        ans = self.client.do("POST", url)
        want_status(ans, 201, 202)
        if ans.status == 202:
            self.close(location(ans, url), dig, body, digest_needed=False)
            raise Unsupported("mount answered 202, uploaded instead")
        self.stored(ans, url, dig, digest_needed=False)

    def mount_missing(self, repo, source, dig, body):
        try:
            self.mount(repo, source, dig, body)
        except Unsupported:
            return
        raise Problem("a mount of a blob that does not exist succeeded")

    def cancel(self, repo):
        url, _ = self.start(repo)
        want_status(self.client.do("DELETE", url), 204)

    FLOWS = ("post_put", "post_only", "stream", "chunked")
    FLOW_NAMES = {"post_put": "blob-post-put", "post_only": "blob-post-only", "stream": "blob-patch-stream", "chunked": "blob-patch-chunked"}

    def push_blob(self, group, repo, dig, body):
        """Any way that works, those without a failure so far first."""
        for flow in sorted(self.FLOWS, key=lambda f: f in self.bad_flows):
            if self.check(f"{group}/{self.FLOW_NAMES[flow]}", getattr(self, flow), repo, dig, body):
                return True
            self.bad_flows.add(flow)
        return False

    # -- blob reads and deletes

    def blob_head(self, repo, dig, body):
        ans = self.client.do("HEAD", self.blob_url(repo, dig))
        want_status(ans, 200)
        want_header(ans, "Content-Length", str(len(body)))
        want_digest(ans, dig, self.dev)

    def blob_get(self, repo, dig, body):
        ans = self.client.do("GET", self.blob_url(repo, dig))
        want_status(ans, 200)
        want_body(ans, body)
        want_header(ans, "Content-Length", str(len(body)))
        want_digest(ans, dig, self.dev)

    def blob_gone(self, repo, dig):
        want_status(self.client.do("HEAD", self.blob_url(repo, dig)), 404)

    def blob_delete(self, repo, dig):
        ans = self.client.do("DELETE", self.blob_url(repo, dig))
        want_status(ans, 202, 404, 405)
        if ans.status == 405:
            raise Unsupported("blob delete answered 405")

    def delete_blob(self, group, repo, dig):
        if self.check(f"{group}/blob-delete", self.blob_delete, repo, dig):
            self.check(f"{group}/blob-delete atomic", self.blob_gone, repo, dig)
        else:
            self.report("SKIP", f"{group}/blob-delete atomic", "the delete did not work")

    def blob_range(self, repo, dig, body, want, expected):
        ans = self.client.do("GET", self.blob_url(repo, dig), [("Range", "bytes=" + want)])
        if ans.status == 200:
            want_body(ans, body)
            raise Unsupported("range ignored, whole blob returned")
        if expected is None:
            want_status(ans, 416)
            return
        first, last = expected
        want_status(ans, 206)
        want_body(ans, body[first:last + 1])
        want_header(ans, "Content-Length", str(last + 1 - first))
        if ans.get("Content-Range") not in (f"bytes {first}-{last}/{len(body)}", f"bytes {first}-{last}/*"):
            raise Problem(f"Content-Range is {ans.get('Content-Range')!r}")

    # -- manifests

    def media_of(self, body):
        return json.loads(body).get("mediaType") or MT_MANIFEST

    def manifest_put(self, repo, ref, dig, body, bad=False, tags=(), media=None):
        url = self.manifest_url(repo, ref)
        if tags:
            url += "?" + up.urlencode([("tag", t) for t in tags])
        media = media or self.media_of(body)
        ans = self.client.do("PUT", url, [("Content-Type", media)], body, chunked=True)
        if bad:
            want_status(ans, 400)
            return ans
        want_status(ans, 201)
        subject = json.loads(body).get("subject")
        if subject and not self.old:
            want_header(ans, "OCI-Subject", subject["digest"])
        want_digest(ans, dig, self.dev and self.args.extra)
        self.manifest_is(self.client.do("GET", location(ans, url), ACCEPT), body)
        return ans

    def manifest_is(self, ans, body, head=False):
        want_status(ans, 200)
        want_header(ans, "Content-Type", self.media_of(body))
        want_header(ans, "Content-Length", str(len(body)))
        want_body(ans, b"" if head else body)

    def push_manifest(self, repo, data, dig):
        tags = [t for t, d in data.tags.items() if d == dig] if data.tag_params else []
        ans = self.manifest_put(repo, dig, dig, data.manifests[dig], dig in data.bad, tags)
        if tags:
            told = {t.strip() for value in ans.values("OCI-Tag") for t in value.split(",")}
            data.pushed_tags |= told & set(tags)
            if set(tags) - told:
                raise Unsupported(f"OCI-Tag does not name {sorted(set(tags) - told)}")

    def push_tag(self, repo, data, tag):
        dig = data.tags[tag]
        self.manifest_put(repo, tag, dig, data.manifests[dig])
        data.pushed_tags.add(tag)

    def manifest_head(self, repo, ref, dig, body):
        ans = self.client.do("HEAD", self.manifest_url(repo, ref), ACCEPT)
        self.manifest_is(ans, body, head=True)
        want_digest(ans, dig, self.dev)

    def manifest_get(self, repo, ref, dig, body):
        ans = self.client.do("GET", self.manifest_url(repo, ref), ACCEPT)
        self.manifest_is(ans, body)
        want_digest(ans, dig, self.dev)

    def manifest_gone(self, repo, ref):
        want_status(self.client.do("HEAD", self.manifest_url(repo, ref), ACCEPT), 404)

    def manifest_delete(self, repo, ref):
        ans = self.client.do("DELETE", self.manifest_url(repo, ref))
        want_status(ans, 202, 404, 400, 405)
        if ans.status in (400, 405):
            raise Unsupported(f"delete answered {ans.status}")

    def delete_ref(self, group, name, repo, ref):
        if self.check(f"{group}/{name}", self.manifest_delete, repo, ref):
            self.check(f"{group}/{name} atomic", self.manifest_gone, repo, ref)
        else:
            self.report("SKIP", f"{group}/{name} atomic", "the delete did not work")

    # -- lists

    def tag_list(self, repo, last=None):
        url = f"{self.base}/v2/{repo}/tags/list" + ("?" + up.urlencode({"last": last}) if last is not None else "")
        ans = self.client.do("GET", url)
        want_status(ans, 200, 404)
        if ans.status == 404:
            return []
        try:
            return json.loads(ans.body).get("tags") or []
        except (ValueError, AttributeError):
            raise Problem("tag list is not a JSON object")

    def tags_check(self, repo, data):
        tags = self.tag_list(repo)
        missing = set(data.tags) - set(tags)
        if missing:
            raise Problem(f"tags missing from the list: {sorted(missing)}")
        if self.args.extra and tags != sorted(tags):
            raise Problem("tags are not in order")
        if len(tags) >= 2:
            order = sorted(tags)
            middle = len(order) // 2
            part = self.tag_list(repo, order[middle - 1])
            if set(order[:middle]) & set(part) or set(order[middle:]) - set(part):
                raise Problem(f"last={order[middle - 1]}: got {part}, expected {order[middle:]}")

    def referrers(self, repo, dig, kind=None):
        url = f"{self.base}/v2/{repo}/referrers/{dig}" + ("?" + up.urlencode({"artifactType": kind}) if kind else "")
        ans = self.client.do("GET", url)
        want_status(ans, 200)
        want_header(ans, "Content-Type", MT_INDEX)
        try:
            value = json.loads(ans.body)
        except ValueError:
            raise Problem("referrers answer is not JSON")
        if value.get("mediaType") != MT_INDEX or value.get("schemaVersion") != 2:
            raise Problem("referrers answer is not an OCI index (mediaType, schemaVersion)")
        return value.get("manifests") or [], ans

    def referrers_check(self, repo, data):
        for subject, goals in data.referrers.items():
            self.listed(self.referrers(repo, subject)[0], goals)
            for kind in {g["artifactType"] for g in goals}:
                found, ans = self.referrers(repo, subject, kind)
                applied = "artifactType" in [f.strip() for f in ans.get("OCI-Filters-Applied").split(",")]
                self.listed(found, [g for g in goals if not applied or g["artifactType"] == kind])
                if applied and any(f.get("artifactType") != kind for f in found):
                    raise Problem(f"the filter for {kind} let others through")
                if not applied:
                    raise Unsupported("OCI-Filters-Applied is missing")

    @staticmethod
    def listed(found, goals):
        for goal in goals:
            same = [f for f in found if all(f.get(k) == goal[k] for k in ("digest", "mediaType", "size"))
                    and (f.get("artifactType") or "") == goal["artifactType"]
                    and goal["annotations"].items() <= (f.get("annotations") or {}).items()]
            if not same:
                seen = [f for f in found if f.get("digest") == goal["digest"]]
                raise Problem(f"referrer {goal['digest']} ({goal['artifactType']}) " + (f"listed differently: {seen}" if seen else "not listed"))

    # -- groups, in the official order

    def run(self):
        self.check("ping", lambda: self.client.do("GET", self.base + "/v2/"))
        self.check("empty/tag list", self.tag_list, self.repo)
        if not self.old:
            self.check("empty/referrers", self.referrers, self.repo, digest(secrets.token_bytes(16)))
        for algo in ("sha256", "sha512"):
            self.blob_group(algo)
        for data in data_sets(self.dev, self.args.sparse):
            self.data_group(data)
        self.manifest_errors()
        if self.args.extra:
            Extra(self).run()

    def blob_group(self, algo):
        group = f"{algo} blobs"
        ghost = secrets.token_bytes(BLANK_SIZES)
        self.check(f"{group}/get-missing", lambda: want_status(self.client.do("GET", self.blob_url(self.repo, digest(ghost, algo))), 404))
        _, ans = self.probe()
        size = 3 * max(CHUNK_FLOOR, int(ans.get("OCI-Chunk-Min-Length") or 0) if ans else 0) - 5
        flows = [("post only", "post_only", BLANK_SIZES, {}), ("post+put", "post_put", BLANK_SIZES, {}), ("chunked single", "chunked", BLANK_SIZES, {}),
                 ("stream", "stream", BLANK_SIZES, {}), ("mount", None, BLANK_SIZES, {}), ("mount anonymous", None, BLANK_SIZES, {}),
                 ("mount missing", None, BLANK_SIZES, {}), ("post cancel", None, BLANK_SIZES, {}),
                 ("chunked multi", "chunked", size, {}), ("chunked multi and put chunk", "chunked", size, {"put_last": True}),
                 ("chunked out-of-order", "chunked", size, {"disorder": True}),
                 ("chunked out-of-order and put chunk", "chunked", size, {"disorder": True, "put_last": True})]
        for name, flow, length, options in flows:
            body = secrets.token_bytes(length)
            self.upload_group(f"{group}/{name}", name, flow, options, digest(body, algo), body)
        self.ranges(group, algo)
        for name, body in (("empty", b""), ("emptyJSON", b"{}")):
            dig = digest(body, algo)
            self.push_blob(f"{group}/{name}", self.repo, dig, body)
            self.check(f"{group}/{name}/blob-head", self.blob_head, self.repo, dig, body)
            self.check(f"{group}/{name}/blob-get", self.blob_get, self.repo, dig, body)
            self.delete_blob(f"{group}/{name}", self.repo, dig)
        bad = [("post only", "post_only", {}), ("post+put", "post_put", {}), ("chunked", "chunked", {}), ("chunked and put chunk", "chunked", {"put_last": True}),
               ("stream", "stream", {})]
        for name, flow, options in bad:
            body = secrets.token_bytes(size)
            self.check(f"{group}/bad digest {name}", getattr(self, flow), self.repo, digest(body, algo), body + b"oh no", bad=True, **options)

    def probe(self):
        """One upload session only to read OCI-Chunk-Min-Length."""
        try:
            url, ans = self.start(self.repo)
            self.client.do("DELETE", url)
            return url, ans
        except (Problem, OSError):
            return None, None

    def upload_group(self, group, name, flow, options, dig, body):
        repo, worked = self.repo, False
        if flow:
            worked = self.check(f"{group}/{self.FLOW_NAMES[flow]}", getattr(self, flow), repo, dig, body, **options)
            if not worked and not options:
                self.bad_flows.add(flow)
        elif name in ("mount", "mount anonymous"):
            if name == "mount anonymous" and self.old:
                return
            self.push_blob(group, self.repo2, dig, body)
            worked = self.check(f"{group}/blob-mount", self.mount, repo, self.repo2 if name == "mount" else None, dig, body)
        elif name == "mount missing":
            worked = self.check(f"{group}/blob-mount", self.mount_missing, repo, self.repo2, dig, body)
        elif self.dev:
            self.check(f"{group}/blob-post-cancel", self.cancel, repo)
        if worked:
            self.check(f"{group}/blob-head", self.blob_head, repo, dig, body)
            self.check(f"{group}/blob-get", self.blob_get, repo, dig, body)
        self.delete_blob(group, repo, dig)
        if name in ("mount", "mount anonymous"):
            self.delete_blob(f"{group}/{self.repo2}", self.repo2, dig)

    def ranges(self, group, algo):
        body = secrets.token_bytes(2048)
        dig = digest(body, algo)
        group = f"{group}/range requests"
        if not self.push_blob(group, self.repo, dig, body):
            return
        for want, expected in (("500-1499", (500, 1499)), ("500-", (500, 2047)), ("-500", (1548, 2047)), ("2000-5000", (2000, 2047)),
                               ("500-0", None), ("5000-10000", None)):
            self.check(f"{group}/range {want}", self.blob_range, self.repo, dig, body, want, expected)
        self.delete_blob(group, self.repo, dig)

    def data_group(self, data):
        name, repo = data.name, self.repo
        for dig, body in data.blobs.items():
            self.push_blob(f"{name}/push", repo, dig, body)
        for dig in data.order:
            self.check(f"{name}/push/manifest-by-digest", self.push_manifest, repo, data, dig)
        for tag in data.tags:
            if tag not in data.pushed_tags:
                self.check(f"{name}/push/manifest-by-tag {tag}", self.push_tag, repo, data, tag)
        self.check(f"{name}/tag-list", self.tags_check, repo, data)
        for part, on_manifest, on_blob in (("head", self.manifest_head, self.blob_head), ("pull", self.manifest_get, self.blob_get)):
            for tag, dig in data.tags.items():
                self.check(f"{name}/{part}/manifest-by-tag {tag}", on_manifest, repo, tag, dig, data.manifests[dig])
            for dig in data.order:
                if dig not in data.bad:
                    self.check(f"{name}/{part}/manifest-by-digest", on_manifest, repo, dig, dig, data.manifests[dig])
            for dig, body in data.blobs.items():
                self.check(f"{name}/{part}/blob", on_blob, repo, dig, body)
        if data.referrers and not self.old:
            self.check(f"{name}/referrers", self.referrers_check, repo, data)
        self.clean(name, repo, data)

    def clean(self, name, repo, data):
        for tag in data.tags:
            if tag in data.pushed_tags:
                self.delete_ref(f"{name}/delete", f"tag-delete {tag}", repo, tag)
        for dig in reversed(data.order):
            self.delete_ref(f"{name}/delete", "manifest-delete", repo, dig)
        for dig in data.blobs:
            self.delete_blob(f"{name}/delete", repo, dig)

    def manifest_errors(self):
        def missing(ref, *allowed):
            want_status(self.client.do("GET", self.manifest_url(self.repo, ref), ACCEPT), *allowed)

        self.check("missing-manifest/by-digest", missing, digest(secrets.token_bytes(1024)), 404)
        self.check("missing-manifest/by-tag", missing, "missing-" + secrets.token_hex(8), 404)
        data = Data("invalid-digest-format")
        dig = data.image(layers=1)["digest"]
        for blob, body in data.blobs.items():
            self.push_blob(data.name, self.repo, blob, body)
        self.check(f"{data.name}/manifest-put", self.manifest_put, self.repo, "sha256:baddigeststring", dig, data.manifests[dig], True)
        self.check(f"{data.name}/manifest-get", missing, "sha256:baddigeststring", 404, 400)
        self.clean(data.name, self.repo, data)


# --------------------------------------------------------------------------------------------------------------- extra


class Extra:
    """What the specification says and the official suite does not look at (--extra)."""

    def __init__(self, suite):
        self.s, self.c, self.repo = suite, suite.client, suite.repo

    def run(self):
        for name in [n for n in dir(self) if n.startswith("x_")]:
            self.s.check("extra/" + name[2:].replace("_", " "), getattr(self, name))

    def image(self, **kw):
        data = Data("extra")
        dig = data.image(**kw)["digest"]
        for blob, body in data.blobs.items():
            self.s.post_put(self.repo, blob, body)
        return data, dig, data.manifests[dig]

    def error(self, ans, *allowed):
        want_status(ans, *allowed)
        found = json.loads(ans.body)["errors"]
        for entry in found:
            if entry["code"] not in CODES:
                raise Problem(f"error code {entry['code']} is not in the specification")
        return {e["code"] for e in found}

    def x_ping_200(self):
        want_status(self.c.do("GET", self.s.base + "/v2/"), 200)

    def x_challenge_without_credentials(self):
        ans = self.c.do("GET", self.s.base + "/v2/", auth=False)
        if ans.status == 200:
            raise Unsupported("anonymous access to /v2/ is allowed")
        want_status(ans, 401)
        header = ans.get("WWW-Authenticate")
        if not re.match(r'(?i)(bearer|basic) ', header) or len(re.findall(r"bearer|basic", header, re.I)) != 1 or '=""' in header:
            raise Problem(f"challenge the suite would misread: {header}")

    def x_digest_algorithm_on_post(self):
        for flow in (self.s.post_put, self.s.stream, self.s.chunked):
            for algo in ("sha256", "sha512"):
                body = secrets.token_bytes(3067)
                flow(self.repo, digest(body, algo), body, **{"digest-algorithm": algo})

    def x_digest_algorithm_unknown_400(self):
        ans = self.c.do("POST", self.s.upload_url(self.repo) + "?digest-algorithm=sha999")
        want_status(ans, 400)

    def x_unsupported_digest_400(self):
        body = b"something"
        url, _ = self.s.start(self.repo)
        want_status(self.c.do("PUT", with_param(url, "digest", "md5:" + hashlib.md5(body).hexdigest()), [("Content-Type", MT_OCTET)], body), 400)

    def x_close_without_digest_400(self):
        url, _ = self.s.start(self.repo)
        want_status(self.c.do("PUT", url, [("Content-Type", MT_OCTET)], b"x"), 400)

    def x_bad_digest_stores_nothing(self):
        body = secrets.token_bytes(600)
        self.s.post_put(self.repo, digest(body), body + b"!", bad=True)
        for data in (body, body + b"!"):
            self.s.blob_gone(self.repo, digest(data))

    def x_content_range_longer_than_body(self):
        url, _ = self.s.start(self.repo)
        ans = self.c.do("PATCH", url, [("Content-Type", MT_OCTET), ("Content-Range", "0-99")], b"x" * 50)
        want_status(ans, 400, 416)

    def x_cancelled_upload_is_gone(self):
        url, _ = self.s.start(self.repo)
        ans = self.c.do("PATCH", url, [("Content-Type", MT_OCTET), ("Content-Range", "0-9")], b"0123456789")
        want_status(ans, 202)
        url = location(ans, url)
        want_status(self.c.do("DELETE", url), 204)
        want_status(self.c.do("GET", url), 404)
        want_status(self.c.do("PATCH", url, [("Content-Type", MT_OCTET)], b"more"), 404)

    def x_upload_url_of_another_repository(self):
        url, _ = self.s.start(self.repo)
        other = url.replace(f"/v2/{self.repo}/", f"/v2/{self.s.repo2}/")
        if other == url:
            raise Unsupported("the upload URL does not name the repository")
        want_status(self.c.do("GET", other), 404, 403)

    def x_two_uploads_at_once(self):
        one, two = secrets.token_bytes(900), secrets.token_bytes(900)
        a, _ = self.s.start(self.repo)
        b, _ = self.s.start(self.repo)
        first = self.c.do("PATCH", a, [("Content-Type", MT_OCTET)], one, chunked=True)
        second = self.c.do("PATCH", b, [("Content-Type", MT_OCTET)], two, chunked=True)
        self.s.sent = one
        self.s.close(location(first, a), digest(one))
        self.s.sent = two
        self.s.close(location(second, b), digest(two))

    def x_head_of_missing_404(self):
        self.s.blob_gone(self.repo, digest(secrets.token_bytes(9)))
        self.s.manifest_gone(self.repo, digest(secrets.token_bytes(9)))

    def x_malformed_blob_digest(self):
        want_status(self.c.do("GET", self.s.blob_url(self.repo, "sha256:xyz")), 400, 404)

    def x_error_bodies(self):
        self.error(self.c.do("GET", self.s.manifest_url(self.repo, "no-such-tag")), 404)
        self.error(self.c.do("GET", self.s.blob_url(self.repo, digest(b"nothing here"))), 404)
        self.error(self.c.do("PUT", self.s.manifest_url(self.repo, "broken"), [("Content-Type", MT_MANIFEST)], b"{not json"), 400)

    def x_tags_paged(self):
        _, dig, body = self.image()
        tags = ["page-a", "page-b", "page-c", "page-D", "page-10", "page-9"]
        for tag in tags:
            self.s.manifest_put(self.repo, tag, dig, body)
        try:
            want = sorted(self.s.tag_list(self.repo))
            url, got = f"{self.s.base}/v2/{self.repo}/tags/list?n=2", []
            while url:
                ans = self.c.do("GET", url)
                want_status(ans, 200)
                page = json.loads(ans.body)
                if page.get("name") != self.repo:
                    raise Problem(f"name is {page.get('name')!r}")
                got += page["tags"]
                link = re.fullmatch(r'\s*<([^>]+)>\s*;\s*rel="?next"?\s*', ans.get("Link"))
                if len(page["tags"]) != 2 and link:
                    raise Problem("a short page with a Link")
                url = up.urljoin(url, link.group(1)) if link else None
                if len(got) > 10000:
                    raise Problem("paging does not end")
            if got != want:
                raise Problem(f"pages give {got}, expected {want}")
            ans = self.c.do("GET", f"{self.s.base}/v2/{self.repo}/tags/list?n=0")
            want_status(ans, 200)
            if json.loads(ans.body).get("tags") or ans.get("Link"):
                raise Problem("n=0 must give an empty list without Link")
            for wrong in ("-1", "abc"):
                want_status(self.c.do("GET", f"{self.s.base}/v2/{self.repo}/tags/list?n={wrong}"), 400)
        finally:
            for tag in tags:
                self.c.do("DELETE", self.s.manifest_url(self.repo, tag))

    def x_delete_manifest_takes_its_tags(self):
        _, dig, body = self.image()
        self.s.manifest_put(self.repo, "goes-away", dig, body)
        want_status(self.c.do("DELETE", self.s.manifest_url(self.repo, dig)), 202)
        self.s.manifest_gone(self.repo, "goes-away")
        if "goes-away" in self.s.tag_list(self.repo):
            raise Problem("the tag is still listed")

    def x_delete_tag_keeps_the_manifest(self):
        _, dig, body = self.image()
        self.s.manifest_put(self.repo, "pointer", dig, body)
        want_status(self.c.do("DELETE", self.s.manifest_url(self.repo, "pointer")), 202)
        self.s.manifest_gone(self.repo, "pointer")
        self.s.manifest_head(self.repo, dig, dig, body)
        want_status(self.c.do("DELETE", self.s.manifest_url(self.repo, "pointer")), 404)

    def x_tag_moves(self):
        _, one, body1 = self.image()
        _, two, body2 = self.image()
        self.s.manifest_put(self.repo, "moves", one, body1)
        self.s.manifest_put(self.repo, "moves", two, body2)
        self.s.manifest_get(self.repo, "moves", two, body2)
        self.s.manifest_get(self.repo, one, one, body1)
        self.c.do("DELETE", self.s.manifest_url(self.repo, "moves"))

    def x_delete_of_missing_404(self):
        ghost = digest(secrets.token_bytes(9))
        want_status(self.c.do("DELETE", self.s.blob_url(self.repo, ghost)), 404)
        want_status(self.c.do("DELETE", self.s.manifest_url(self.repo, ghost)), 404)

    def x_tag_length(self):
        _, dig, body = self.image()
        self.s.manifest_put(self.repo, "t" * 128, dig, body)
        self.s.manifest_get(self.repo, "t" * 128, dig, body)
        self.c.do("DELETE", self.s.manifest_url(self.repo, "t" * 128))
        for wrong in ("t" * 129, ".dot", "-dash"):
            ans = self.c.do("PUT", self.s.manifest_url(self.repo, wrong), [("Content-Type", MT_MANIFEST)], body)
            want_status(ans, 400, 404)

    def x_ten_tag_parameters(self):
        _, dig, body = self.image()
        tags = [f"many-{i}" for i in range(10)]
        ans = self.s.manifest_put(self.repo, dig, dig, body, tags=tags)
        told = {t.strip() for v in ans.values("OCI-Tag") for t in v.split(",")}
        if set(tags) - told:
            raise Unsupported("OCI-Tag does not name all ten")
        for tag in tags:
            self.s.manifest_get(self.repo, tag, dig, body)
            self.c.do("DELETE", self.s.manifest_url(self.repo, tag))

    def x_invalid_tag_parameter(self):
        _, dig, body = self.image()
        ans = self.c.do("PUT", self.s.manifest_url(self.repo, dig) + "?tag=in%20valid%2F", [("Content-Type", MT_MANIFEST)], body)
        want_status(ans, 400)

    def x_docker_schema2(self):
        data = Data("docker")
        layer = data.layer(0)
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        config = data.config(1)
        config["mediaType"] = "application/vnd.docker.container.image.v1+json"
        one = data.add_manifest({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": config, "layers": [layer]})
        many = data.add_manifest({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
                                  "manifests": [dict(one, platform={"architecture": "amd64", "os": "linux"})]})
        for blob, body in data.blobs.items():
            self.s.post_put(self.repo, blob, body)
        for desc in (one, many):
            dig, body = desc["digest"], data.manifests[desc["digest"]]
            ans = self.c.do("PUT", self.s.manifest_url(self.repo, dig), [("Content-Type", desc["mediaType"])], body)
            want_status(ans, 201)
            got = self.c.do("GET", self.s.manifest_url(self.repo, dig), [("Accept", desc["mediaType"])])
            self.s.manifest_is(got, body)

    def x_manifest_without_mediatype(self):
        data = Data("plain")
        config, layer = data.config(1), data.layer(0)
        for blob, body in data.blobs.items():
            self.s.post_put(self.repo, blob, body)
        body = dump({"schemaVersion": 2, "config": config, "layers": [layer]})
        self.s.manifest_put(self.repo, digest(body), digest(body), body, media=MT_MANIFEST)

    def x_content_type_parameters_ignored(self):
        _, dig, body = self.image()
        self.s.manifest_put(self.repo, dig, dig, body, media=MT_MANIFEST + "; charset=utf-8")

    def x_get_without_accept(self):
        _, dig, body = self.image()
        self.s.manifest_put(self.repo, dig, dig, body)
        self.s.manifest_is(self.c.do("GET", self.s.manifest_url(self.repo, dig)), body)

    def x_missing_layer(self):
        data = Data("hole")
        dig = data.image()["digest"]
        ans = self.c.do("PUT", self.s.manifest_url(self.repo, dig), [("Content-Type", MT_MANIFEST)], data.manifests[dig])
        want_status(ans, 201, 400, 404)
        if ans.status != 201 and self.error(ans, ans.status) != {"MANIFEST_BLOB_UNKNOWN"}:
            raise Problem("a manifest refused for missing blobs must say MANIFEST_BLOB_UNKNOWN")

    def x_referrers_malformed_digest_400(self):
        want_status(self.c.do("GET", f"{self.s.base}/v2/{self.repo}/referrers/sha256:xyz"), 400)

    def x_referrers_follow_deletion(self):
        data, dig, body = self.image()
        self.s.manifest_put(self.repo, dig, dig, body)
        for blob in ("{}",):
            self.s.post_put(self.repo, digest(blob.encode()), blob.encode())
        data = Data("ref")
        ref = data.manifest(data.blob(b"{}", MT_EMPTY), [data.blob(b"{}", MT_EMPTY)], artifact_type=MT_TYPE1,
                            subject={"mediaType": MT_MANIFEST, "digest": dig, "size": len(body)}, unique=True)["digest"]
        self.s.manifest_put(self.repo, ref, ref, data.manifests[ref])
        if ref not in [f["digest"] for f in self.s.referrers(self.repo, dig)[0]]:
            raise Problem("not listed")
        self.s.manifest_delete(self.repo, ref)
        if ref in [f["digest"] for f in self.s.referrers(self.repo, dig)[0]]:
            raise Problem("still listed after its deletion")
        if self.s.referrers(self.s.repo2, dig)[0]:
            raise Problem("referrers leak into another repository")

    def x_invalid_repository_name(self):
        for name in ("UPPER/case", "a..b", "-a"):
            ans = self.c.do("GET", f"{self.s.base}/v2/{name}/tags/list", auth=False)
            want_status(ans, 400, 404, 401)

    def x_large_manifest_limit(self):
        _, dig, body = self.image(notes={f"n{i}": "A" * 10000 for i in range(6600)})
        ans = self.c.do("PUT", self.s.manifest_url(self.repo, dig), [("Content-Type", MT_MANIFEST)], body)
        want_status(ans, 201, 413)

    def x_mount_of_one_repository_survives_delete_in_the_other(self):
        body = secrets.token_bytes(700)
        dig = digest(body)
        self.s.post_put(self.s.repo2, dig, body)
        self.s.mount(self.repo, self.s.repo2, dig, body)
        self.s.blob_delete(self.s.repo2, dig)
        self.s.blob_gone(self.s.repo2, dig)
        self.s.blob_get(self.repo, dig, body)

    def x_blob_is_not_visible_in_another_repository(self):
        body = secrets.token_bytes(700)
        self.s.post_put(self.repo, digest(body), body)
        self.s.blob_gone(self.s.repo2, digest(body))


# ---------------------------------------------------------------------------------------------------------------- main


def main():
    env = os.environ.get
    parser = argparse.ArgumentParser(description="replay of the OCI distribution conformance checks")
    parser.add_argument("--registry", default=env("OCI_REGISTRY", "localhost:5000"), help="host:port")
    parser.add_argument("--username", default=env("OCI_USERNAME", ""))
    parser.add_argument("--password", default=env("OCI_PASSWORD", ""))
    parser.add_argument("--plain-http", action="store_true")
    parser.add_argument("--insecure", action="store_true", help="do not verify the TLS certificate")
    parser.add_argument("--cacert", help="CA certificates to trust (PEM)")
    parser.add_argument("--version", default=env("OCI_VERSION", "1.1"), choices=["1.0", "1.1", "dev", "1.1+dev"])
    parser.add_argument("--repo1", default=env("OCI_REPO1", "conformance/repo1"))
    parser.add_argument("--repo2", default=env("OCI_REPO2", "conformance/repo2"))
    parser.add_argument("--sparse", action="store_true", help="also the sparse data set (off in the official suite)")
    parser.add_argument("--extra", action="store_true", help="also what the specification says and the official suite does not check")
    parser.add_argument("--strict", action="store_true", help="a SKIP (unsupported) also makes the run fail")
    parser.add_argument("--no-cache-auth", action="store_true", help="a challenge and a token for every request")
    parser.add_argument("--filter", default="", help="report only checks whose name starts so (all still run)")
    parser.add_argument("--quiet", action="store_true", help="no PASS lines")
    parser.add_argument("--verbose", action="store_true", help="every request on standard error")
    args = parser.parse_args()
    context = ssl.create_default_context(cafile=args.cacert)
    if args.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    suite = Suite(args, context)
    suite.run()
    counts = suite.counts
    print(f"TOTAL {sum(counts.values())}  PASS {counts['PASS']}  FAIL {counts['FAIL']}  SKIP {counts['SKIP']}")
    sys.exit(1 if counts["FAIL"] or (args.strict and counts["SKIP"]) else 0)


if __name__ == "__main__":
    main()
