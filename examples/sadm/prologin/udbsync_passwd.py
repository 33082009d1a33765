"""udbsync_passwd keeps the accounts in one or more roots in step with udb.

Accounts of udb have numbers from 10000 on; all others belong to the system and
are left alone.
"""

import fcntl
import os
import sys

from prologin import sync

FIRST = 10000
GROUPS = {"user": 10000, "orga": 10001}  # and root, which every system has


def main():
    roots = sys.argv[1:] or ["/"]
    sync.follow("udbsync", lambda records: [update(root, records) for root in roots if os.path.isdir(f"{root}/etc")])


def update(root, records):
    etc = os.path.join(root, "etc")
    with open(f"{etc}/.pwd.lock", "a") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        users = sorted(records, key=lambda r: r["uid"])
        logins = {u["login"] for u in users}
        old = {f[0] for f in fields(f"{etc}/passwd") if int(f[2]) >= FIRST}
        replace(f"{etc}/passwd", lambda f: int(f[2]) < FIRST and f[0] not in logins, map(passwd, users))
        replace(f"{etc}/shadow", lambda f: f[0] not in old | logins, map(shadow, users))
        replace(f"{etc}/group", lambda f: f[0] not in GROUPS, (f"{name}:x:{gid}:" for name, gid in GROUPS.items()))
    print(f"{root}: {len(users)} accounts", flush=True)


def passwd(user):
    name = f"{user['firstname']} {user['lastname']}".strip().replace(":", " ")
    gid = GROUPS.get(user["group"], 0)
    return f"{user['login']}:x:{user['uid']}:{gid}:{name}:/home/{user['login']}:{user['shell']}"


def shadow(user):
    return f"{user['login']}:{user.get('password') or '!'}:19000::::::"


def fields(path):
    with open(path) as f:
        return [line.rstrip("\n").split(":") for line in f if line.strip()]


def replace(path, keep, added):
    """Rewrites a file of accounts at once, with its owner and mode."""
    lines = [":".join(f) for f in fields(path) if keep(f)] + list(added)
    text = "\n".join(lines) + "\n"
    with open(path) as f:
        if f.read() == text:
            return
    was = os.stat(path)
    partial = path + ".udbsync"
    with open(partial, "w") as f:
        os.fchmod(f.fileno(), was.st_mode & 0o7777)
        os.fchown(f.fileno(), was.st_uid, was.st_gid)
        f.write(text)
    os.rename(partial, path)


if __name__ == "__main__":
    main()
