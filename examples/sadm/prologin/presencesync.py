"""Knows who is logged in where, and lets nobody log in at two places."""

import threading
import time

from prologin import http, sync

PORT = 20060
LIFETIME = 10  # seconds after the last heartbeat

app = http.Service("presencesync", PORT)
feed = sync.Feed()
lock = threading.Condition()
present = {}  # login → (hostname, when it ends)


def publish():
    feed.publish([{"login": login, "hostname": host} for login, (host, _) in sorted(present.items())])


@app.route("POST", "/heartbeat")
def heartbeat(request):
    """Say that a user is logged in on a machine. It has to be said again and again."""
    request.demand_trust()
    login, hostname = request.data["login"], request.data["hostname"]
    with lock:
        where, _ = present.get(login, (hostname, 0))
        if where != hostname:
            raise http.Failure(409, f"{login} is logged in on {where}")
        present[login] = hostname, time.monotonic() + LIFETIME
        publish()
        lock.notify()
    return {}


@app.route("POST", "/logout")
def logout(request):
    request.demand_trust()
    with lock:
        if present.get(request.data["login"], ("", 0))[0] == request.data["hostname"]:
            del present[request.data["login"]]
            publish()
    return {}


@app.route("GET", "/poll")
def poll(request):
    return feed.poll(request.args.get("since", ""))


def expire():
    """Forget those who are not heard of any more."""
    while True:
        with lock:
            now = time.monotonic()
            for login in [login for login, (_, end) in present.items() if end <= now]:
                del present[login]
            publish()
            lock.wait(min((end - now for _, end in present.values()), default=None))


if __name__ == "__main__":
    threading.Thread(target=expire, daemon=True).start()
    app.run()
