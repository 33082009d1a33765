"""The accounts of udb on this machine."""

from installer import service


def install():
    service("udbsync_passwd", "Accounts of udb on this machine", user="root")
