"""The machine database."""

from installer import app, database, service, vhost
from prologin import mdb


def install():
    database("mdb", mdb.SCHEMA)
    app("mdb")
    service("mdb", "Machine database", after="postgresql.service")
    vhost("mdb", mdb.PORT, sso=True)
