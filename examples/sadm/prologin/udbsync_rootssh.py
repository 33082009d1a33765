"""Lets those in with their SSH keys who are root in the user database."""

import os

from prologin import files, sync

FILE = "/root/.ssh/authorized_keys"
MARK = "udbsync:"  # begins the comment of the keys that are ours


def write(users):
    """Replace the keys that are ours; others stay."""
    os.makedirs(os.path.dirname(FILE), 0o700, exist_ok=True)
    try:
        with open(FILE) as file:
            lines = [line for line in file.read().splitlines() if MARK not in line]
    except FileNotFoundError:
        lines = []
    for user in users:
        if user["group"] == "root" and user["ssh_key"]:
            kind, key = user["ssh_key"].split()[:2]
            lines.append(f"{kind} {key} {MARK}{user['login']}")
    files.replace(FILE, "".join(line + "\n" for line in lines), 0o600)


if __name__ == "__main__":
    sync.follow("udbsync", write)
