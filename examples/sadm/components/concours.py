"""The contest's site, and the users of udb in its database."""

from components import udbsync_django
from installer import copy, database, service, vhost
from prologin import concours

SCHEMA = """
CREATE TABLE IF NOT EXISTS submission (
    id serial PRIMARY KEY,
    login text NOT NULL,
    source text NOT NULL,
    worker text
);
"""


def install():
    database("concours", SCHEMA)
    udbsync_django.install()
    copy("etc/prologin/concours.yml")
    service("concours", "Site of the contest", after="postgresql.service")
    vhost("concours", concours.PORT, sso=True, services="services_contest")
