"""hfs@N: the homes of users as network block devices.

At a login the user's machine asks POST /get_hfs for a port. A user who has no home
yet gets one, an ext4 image with the skeleton in it; which of the servers has it is
written down in the database hfs on gw.
"""

import http.server
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from prologin import db, notify

EXPORT = "/export"
SKELETON = "/export/skeleton"
RUN = "/run/hfs"
PORT = 20100
PORTS = range(20200, 21000)
SIZE = {"user": 2 << 30, "orga": 5 << 30}


class Refusal(Exception):
    """What the client did wrong, with the status that says so."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def location(user):
    rows = db.query("hfs", "SELECT hfs FROM user_location WHERE login = %s", (user,), host="gw")
    return rows[0]["hfs"] if rows else None


def locate(user, hfs):
    db.query("hfs", "INSERT INTO user_location (login, hfs) VALUES (%s, %s)", (user, hfs), host="gw")


class Homes:
    """The images of this server, and the nbd-server of each that is in use."""

    def __init__(self, number):
        self.number = number
        self.directory = f"{EXPORT}/hfs{number}"
        self.lock = threading.Lock()
        os.makedirs(self.directory, 0o700, exist_ok=True)
        os.makedirs(RUN, 0o755, exist_ok=True)

    def get(self, user, utype):
        """Returns the port that the user's home is served on from now on."""
        try:
            account = pwd.getpwnam(user)
        except KeyError:
            raise Refusal(404, f"no user {user} here; is udbsync_passwd running?") from None
        with self.lock:
            where = location(user)
            if where not in (None, self.number):
                raise Refusal(409, f"the home of {user} is on hfs{where}")
            image = f"{self.directory}/{user}.nbd"
            if not os.path.exists(image):
                self.create(image, account, SIZE.get(utype, SIZE["orga"]))
            if where is None:
                locate(user, self.number)
            self.end(user)  # two machines must not write to the same image
            return self.serve(user, image)

    def create(self, image, account, size):
        partial = image + ".partial"
        with tempfile.TemporaryDirectory() as skeleton:
            shutil.copytree(SKELETON, skeleton, symlinks=True, dirs_exist_ok=True)
            owner = f"{account.pw_uid}:{account.pw_gid}"
            subprocess.run(["chown", "-Rh", owner, skeleton], check=True)
            os.chmod(skeleton, 0o700)
            with open(partial, "wb") as f:
                f.truncate(size)
            subprocess.run(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-E", f"root_owner={owner}",
                            "-L", account.pw_name[:16], "-d", skeleton, partial], check=True)
        os.rename(partial, image)

    def serve(self, user, image):
        port = free_port()
        config = f"{RUN}/{user}.conf"
        with open(config, "w") as f:
            f.write(f"[generic]\nallowlist = true\nport = {port}\n[{user}]\nexportname = {image}\nflush = true\n")
        subprocess.run(["nbd-server", "-p", f"{RUN}/{user}.pid", "-C", config], check=True)
        await_port(port)
        return port

    def end(self, user):
        try:
            with open(f"{RUN}/{user}.pid") as f:
                pid = int(f.read())
            with open(f"/proc/{pid}/comm") as f:
                ours = f.read().strip() == "nbd-server"
        except (OSError, ValueError):
            return
        if ours:
            os.kill(pid, signal.SIGTERM)


def free_port():
    for port in PORTS:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise Refusal(503, "no free port")


def await_port(port):
    """nbd-server says by nothing but its port that it listens."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise RuntimeError(f"nbd-server does not listen on port {port}") from None
            time.sleep(0.02)


class Handler(http.server.BaseHTTPRequestHandler):
    homes = None

    def do_POST(self):
        try:
            if self.path != "/get_hfs":
                raise Refusal(404, "only /get_hfs is here")
            request = self.argument()
            if int(request["hfs"]) != self.homes.number:
                raise Refusal(400, f"this is hfs{self.homes.number}")
            self.answer(200, {"port": self.homes.get(request["user"], request["utype"])})
        except Refusal as err:
            self.answer(err.status, {"error": str(err)})
        except (KeyError, ValueError) as err:
            self.answer(400, {"error": f"want data={{user, hfs, utype}}: {err}"})
        except Exception as err:  # it must not end the server
            self.log_error("%s", err)
            self.answer(500, {"error": str(err)})

    def argument(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        return json.loads(urllib.parse.parse_qs(body, strict_parsing=True)["data"][0])

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: server.py NUMBER")
    Handler.homes = Homes(int(sys.argv[1]))
    with http.server.ThreadingHTTPServer(("", PORT), Handler) as server:
        notify.ready()
        server.serve_forever()


if __name__ == "__main__":
    main()
