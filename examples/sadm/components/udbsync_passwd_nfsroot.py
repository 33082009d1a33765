"""The accounts of udb in the exported roots."""

from installer import PYTHON, service


def install():
    service("udbsync_passwd_nfsroot", "Accounts of udb in the exported root", user="root",
            command=f"{PYTHON} -m prologin.udbsync_passwd /export/nfsroot_staging /export/nfsroot_ro")
