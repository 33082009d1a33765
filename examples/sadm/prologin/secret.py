"""Secrets of single services, derived from the one that the administrator chose."""

import hashlib
import hmac

PATH = "/etc/prologin/sadm-secret"


def derive(purpose):
    """Return the secret for a purpose, such as a service's name."""
    with open(PATH, "rb") as file:
        master = file.read().strip()
    return hmac.new(master, purpose.encode(), hashlib.sha256).hexdigest()
