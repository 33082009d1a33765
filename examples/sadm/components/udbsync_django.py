"""The accounts of web applications, a unit for each database."""

from installer import service


def install():
    service("udbsync_django", "Accounts of %i from the user database", after="postgresql.service", instance=True)
