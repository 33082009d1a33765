"""HTTP between the services: JSON, behind nginx, with a token for what is not public."""

import hmac
import http.server
import json
import sys
import traceback
import urllib.error
import urllib.parse
import urllib.request

from prologin import notify, secret


class Failure(Exception):
    """An answer other than 200."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Request:
    """What a handler sees of a request."""

    def __init__(self, service, handler):
        url = urllib.parse.urlsplit(handler.path)
        self.path = url.path
        self.args = dict(urllib.parse.parse_qsl(url.query))
        self.headers = handler.headers
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        try:
            self.data = json.loads(body) if body else {}
        except ValueError as e:
            raise Failure(400, f"not JSON: {e}")
        self.address = handler.headers.get("X-Real-IP") or handler.client_address[0]
        given = handler.headers.get("Authorization", "")
        self.trusted = hmac.compare_digest(given, "Bearer " + secret.derive(service))

    def demand_trust(self):
        if not self.trusted:
            raise Failure(403, "wrong or missing token")

    def fields(self, known):
        """Return the arguments, which name fields that are known."""
        unknown = set(self.args) - set(known)
        if unknown:
            raise Failure(400, f"no field {', '.join(unknown)}")
        return self.args


class Text(str):
    """An answer that is no JSON."""


class Service:
    """An HTTP service on a port of this machine."""

    def __init__(self, name, port):
        self.name, self.port, self.routes = name, port, {}

    def route(self, method, path):
        """Decorate the function that answers requests of a path, or below it if it ends in a slash.

        It takes a Request and returns Text, or what JSON can hold, or (answer, headers).
        """
        def register(function):
            self.routes[method, path] = function
            return function
        return register

    def find(self, method, path):
        while path:
            if (method, path) in self.routes:
                return self.routes[method, path]
            path = path[:path.rstrip("/").rfind("/") + 1]
        raise Failure(404, "no such thing")

    def run(self):
        """Serve for ever."""
        class Handler(http.server.BaseHTTPRequestHandler):
            service = self

            def do_GET(self):
                answer(self)

            do_HEAD = do_POST = do_GET

            def log_message(self, form, *args):
                pass  # nginx logs them

        http.server.ThreadingHTTPServer.request_queue_size = 256
        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        notify.ready()
        server.serve_forever()


def answer(handler):
    """Answer one request."""
    headers, status = {}, 200
    service = handler.service
    try:
        request = Request(service.name, handler)
        method = "GET" if handler.command == "HEAD" else handler.command
        result = service.find(method, request.path)(request)
        if isinstance(result, tuple):
            result, headers = result
    except Failure as e:
        status, result = e.status, Text(f"{e}\n")
    except Exception:
        traceback.print_exc()
        status, result = 500, Text("the service failed; see its journal\n")
    kind = "text/plain" if isinstance(result, Text) else "application/json"
    body = (result if isinstance(result, Text) else json.dumps(result)).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": len(body), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def call(url, data=None, service=None, timeout=10):
    """GET an URL, or POST data to it as JSON; with the token of a service. Return the JSON."""
    headers = {"Authorization": "Bearer " + secret.derive(service)} if service else {}
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as e:
        raise OSError(f"{url}: {e.code} {e.read().decode(errors='replace').strip()}") from e


def get(url, service=None, timeout=10):
    return call(url, None, service, timeout)


def post(url, data, service=None, timeout=10):
    return call(url, data, service, timeout)


def tell(service):
    """Tell a synchronisation service that what it relays has changed."""
    try:
        post(f"http://{service}/update", {}, service=service)
    except OSError as e:
        print(f"{service} is not told, it will ask when it starts: {e}", file=sys.stderr)
