"""Google Cloud Storage for tests: buckets by its JSON API, objects by its XML API, as far as sky uses them.

Usage: gcs.py FOLDER. Writes there `key.json`, the key of a service account that may do all. Whoever comes with
curl or wget must have an address that this account has signed (V4, RSA), for that method and in time.

`GET /test/look` says what is there, and how many bytes went in and out by signed addresses.
Prints `port N`, and ends when its standard input does: it never outlives the tests.
"""

import hashlib
import json
import os
import sys
import threading
import time
from datetime import datetime, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
email = "tests@sky-test.iam.gserviceaccount.com"
lock = threading.Lock()
buckets, counts = {}, {"in": 0, "out": 0, "made": 0}


def strict(text):
    return quote(text, safe="-_.~")


def refusal(method, path, query):
    """Why a signed address is not good; none if it is."""
    fields = dict(query)
    signature = fields.get("X-Goog-Signature")
    if not signature:
        return "no signature"
    rest = sorted((strict(name), strict(value)) for name, value in query if name != "X-Goog-Signature")
    canonical = "&".join(f"{name}={value}" for name, value in rest)
    request = f"{method}\n{path}\n{canonical}\nhost:storage.googleapis.com\n\nhost\nUNSIGNED-PAYLOAD"
    who, scope = fields["X-Goog-Credential"].split("/", 1)
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"GOOG4-RSA-SHA256\n{fields['X-Goog-Date']}\n{scope}\n{digest}"
    begun = datetime.strptime(fields["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    try:
        key.public_key().verify(bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except Exception:  # noqa: BLE001
        return "SignatureDoesNotMatch"
    if who != email or time.time() > begun.timestamp() + int(fields["X-Goog-Expires"]):
        return "ExpiredToken"
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def say(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, code, value):
        self.say(code, json.dumps(value).encode(), Content_Type="application/json")

    def fail(self, code, reason):
        self.json(code, {"error": {"code": code, "message": reason, "errors": [{"reason": reason}]}})

    def missing(self, what):
        self.say(404, f"<Error><Code>{what}</Code></Error>".encode(), Content_Type="application/xml")

    def answer(self):
        parts = urlsplit(self.path)
        query = parse_qsl(parts.query, keep_blank_values=True)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with lock:
            if parts.path == "/test/look":
                return self.json(200, {"buckets": {name: sorted(one["objects"]) for name, one in buckets.items()}, **counts})
            if parts.path.startswith("/storage/v1/b"):
                return self.bucket(parts.path.removeprefix("/storage/v1/b").strip("/"), dict(query), body)
            name, _, item = unquote(parts.path).lstrip("/").partition("/")
            stranger = (self.headers.get("User-Agent") or "").lower().startswith(("curl", "wget"))
            known = (self.headers.get("Authorization") or "").startswith("Bearer ey")
            why = refusal(self.command, parts.path, query) if stranger else None if known else "AccessDenied"
            if why:
                return self.say(403, f"<Error><Code>{why}</Code></Error>".encode())
            if name not in buckets:
                return self.missing("NoSuchBucket")
            objects = buckets[name]["objects"]
            return self.item(objects, item, body, stranger) if item else self.list(objects, dict(query))

    def bucket(self, name, query, body):
        if self.command == "POST" and not name:
            wanted = json.loads(body)
            unknown = set(wanted) - {"name", "location", "labels", "iamConfiguration", "softDeletePolicy"}
            if unknown or query.get("project") != "sky-test":
                return self.fail(400, "invalid")
            if wanted["name"] in buckets:
                return self.fail(409, "conflict")
            counts["made"] += 1
            buckets[wanted["name"]] = {"body": wanted, "objects": {}}
            return self.json(200, wanted)
        if self.command == "GET" and not name:
            prefix = query.get("prefix", "")
            return self.json(200, {"items": [one["body"] for known, one in buckets.items() if known.startswith(prefix)]})
        if name not in buckets:
            return self.fail(404, "notFound")
        if self.command == "DELETE":
            if buckets[name]["objects"]:
                return self.fail(409, "conflict")
            del buckets[name]
            return self.say(204)
        return self.json(200, buckets[name]["body"])

    def item(self, objects, name, body, stranger):
        if self.command == "PUT":
            objects[name] = (body, formatdate(usegmt=True))
            counts["in"] += len(body) if stranger else 0
            return self.say(200, ETag=f'"{hashlib.md5(body).hexdigest()}"', x_goog_generation="1")
        if name not in objects:
            return self.missing("NoSuchKey")
        if self.command == "DELETE":
            del objects[name]
            return self.say(204)
        content, when = objects[name]
        headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "Last_Modified": when, "x_goog_generation": "1"}
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            first, last = wanted.removeprefix("bytes=").split("-")
            first, last = int(first or 0), min(int(last or len(content) - 1), len(content) - 1)
            if first >= len(content):
                return self.say(416)
            headers["Content_Range"] = f"bytes {first}-{last}/{len(content)}"
            content = content[first:last + 1]
        counts["out"] += len(content) if stranger else 0
        return self.say(206 if "Content_Range" in headers else 200, content, **headers)

    def list(self, objects, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        entries, folders = [], set()
        for name, (content, _) in sorted(objects.items()):
            if not name.startswith(prefix):
                continue
            rest = name[len(prefix):]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            entries.append(
                f"<Contents><Key>{escape(name)}</Key><Size>{len(content)}</Size>"
                f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
            )
        entries += [f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders)]
        text = f"<ListBucketResult>{''.join(entries)}</ListBucketResult>"
        self.say(200, text.encode(), Content_Type="application/xml")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer


def end_with_input():
    sys.stdin.read()
    os._exit(0)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
private = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
with open(os.path.join(sys.argv[1], "key.json"), "w") as file:
    json.dump({
        "type": "service_account", "project_id": "sky-test", "private_key_id": "1", "private_key": private,
        "client_email": email, "client_id": "1",
        "gcs_base_url": f"http://127.0.0.1:{server.server_port}",
    }, file)
threading.Thread(target=end_with_input, daemon=True).start()
print(f"port {server.server_port}", flush=True)
server.serve_forever()
