"""Tells nginx who asks: the one user who is logged in on the machine of that address."""

import threading

from prologin import http, sync

PORT = 20070

app = http.Service("sso", PORT)
host_of = {}  # address → hostname
users_of = {}  # hostname → logins


def learn_machines(machines):
    global host_of
    host_of = {machine["ip"]: machine["hostname"] for machine in machines}


def learn_presences(presences):
    global users_of
    users = {}
    for presence in presences:
        users.setdefault(presence["hostname"], []).append(presence["login"])
    users_of = users


@app.route("GET", "/")
def who(request):
    users = users_of.get(host_of.get(request.address), [])
    headers = {"X-SSO-Backend-Status": "working"}
    if len(users) == 1:
        headers["X-SSO-User"] = users[0]
    return {}, headers


if __name__ == "__main__":
    for service, learn in (("mdbsync", learn_machines), ("presencesync", learn_presences)):
        threading.Thread(target=sync.follow, args=(service, learn), daemon=True).start()
    app.run()
