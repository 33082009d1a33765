"""concours: the contest's site, as far as a test of the infrastructure needs one."""

import html
import os
import re

from prologin import db, http

PORT = 20110
CONFIG = "/etc/prologin/concours.yml"

app = http.Service("concours", PORT)


def setting(name):
    """Return a setting of the site, which has no defaults."""
    with open(CONFIG) as file:
        return re.search(rf"^ *{name}: *(\S+)", file.read(), re.MULTILINE)[1]


@app.route("GET", "/")
def index(request):
    contestants = db.query("concours", "SELECT username FROM auth_user WHERE NOT is_staff ORDER BY username")
    submissions = db.query("concours", "SELECT count(*) AS number FROM submission")[0]["number"]
    names = "".join(f"<li>{html.escape(c['username'])}</li>" for c in contestants)
    return http.Text(
        f"<!DOCTYPE html><title>Concours</title><h1>{html.escape(setting('game'))}</h1>"
        f"<p>{len(contestants)} contestants, {submissions} submissions.</p><ul>{names}</ul>\n"
    ), {"Content-Type": "text/html; charset=utf-8"}


@app.route("POST", "/submit")
def submit(request):
    """What a contestant hands in: {"login": …, "source": …}."""
    request.demand_trust()
    return db.query("concours", "INSERT INTO submission (login, source) VALUES (%(login)s, %(source)s) RETURNING id",
                    request.data)[0]


if __name__ == "__main__":
    os.chdir(setting("static_path"))  # it must be there
    app.run()
