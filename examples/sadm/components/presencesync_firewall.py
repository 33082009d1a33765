"""Whom gw lets through."""

from installer import service


def install():
    service("presencesync_firewall", "Internet access by presence", user="root", after="firewall.service")
