"""homepage: where a contestant's browser begins, with links to all that is there."""

import html

from prologin import db, http

PORT = 20120

app = http.Service("homepage", PORT)


@app.route("GET", "/")
def index(request):
    links = db.query("homepage", "SELECT name, url FROM link ORDER BY position")
    items = "".join(f'<li><a href="{html.escape(l["url"])}">{html.escape(l["name"])}</a></li>' for l in links)
    return http.Text(
        f"<!DOCTYPE html><title>Prologin</title><h1>Prologin</h1><ul>{items}</ul>\n"
    ), {"Content-Type": "text/html; charset=utf-8"}


if __name__ == "__main__":
    app.run()
