"""Homes over the network."""

import os
import shutil

from installer import SADM, service


def install():
    service("hfs", "Homes over the network, server %i", user="root", instance=True)
    if not os.path.exists("/export/skeleton"):
        shutil.copytree(f"{SADM}/hfs/skeleton", "/export/skeleton")
