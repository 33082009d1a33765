"""The user database."""

from installer import app, database, service, vhost
from prologin import udb


def install():
    database("udb", udb.SCHEMA)
    app("udb")
    service("udb", "User database", after="postgresql.service")
    vhost("udb", udb.PORT, sso=True)
