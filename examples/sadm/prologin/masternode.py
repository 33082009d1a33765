"""masternode: hands the contest's submissions to the worker nodes, which connect to it."""

import json
import socketserver

from prologin import db, notify

PORT = 20130


class Handler(socketserver.StreamRequestHandler):
    """A worker says {"worker": NAME} in one line and gets one submission, or null."""

    def handle(self):
        worker = json.loads(self.rfile.readline())["worker"]
        jobs = db.query(
            "concours",
            "UPDATE submission SET worker = %s WHERE id = (SELECT id FROM submission"
            " WHERE worker IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
            " RETURNING id, login, source", (worker,))
        self.wfile.write(json.dumps(jobs[0] if jobs else None).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


def main():
    with Server(("", PORT), Handler) as server:
        notify.ready()
        server.serve_forever()


if __name__ == "__main__":
    main()
