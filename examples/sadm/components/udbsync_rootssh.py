"""The SSH keys that open this machine."""

from installer import service


def install():
    service("udbsync_rootssh", "Keys of root from the user database", user="root")
