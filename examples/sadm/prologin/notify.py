"""The protocol of sd_notify(3)."""

import os
import socket


def ready():
    """Tell the service manager that the service is up."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(address.replace("@", "\0", 1))
        s.send(b"READY=1")
