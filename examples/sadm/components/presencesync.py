"""Who is logged in where."""

from installer import service, vhost
from prologin import presencesync


def install():
    service("presencesync", "Presence of users")
    vhost("presencesync", presencesync.PORT)
