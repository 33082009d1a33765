"""The secret that all others are derived from, out of PROLOGIN_SADM_MASTER_SECRET."""

import os
import shutil
import sys

from installer import write
from prologin import secret


def install():
    value = os.environ.get("PROLOGIN_SADM_MASTER_SECRET", "")
    if not value:
        sys.exit("sadm_secret: set PROLOGIN_SADM_MASTER_SECRET")
    write(secret.PATH, value + "\n", 0o640)
    shutil.chown(secret.PATH, "root", "prologin")
