"""The page with which browsers begin."""

from components import udbsync_django
from installer import database, service, vhost
from prologin import homepage

SCHEMA = """
CREATE TABLE IF NOT EXISTS link (
    name text PRIMARY KEY,
    url text NOT NULL,
    position integer NOT NULL
);
INSERT INTO link VALUES
    ('Concours', 'http://concours/', 1),
    ('Documentation', 'http://docs/', 2),
    ('Machines', 'http://mdb/', 3)
ON CONFLICT DO NOTHING;
"""


def install():
    database("homepage", SCHEMA)
    udbsync_django.install()
    service("homepage", "Page with which browsers begin", after="postgresql.service")
    vhost("home", homepage.PORT)
