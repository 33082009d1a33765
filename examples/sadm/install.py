#!/usr/bin/env python3
"""Installs components on this machine: install.py COMPONENT…

Each is a module of components. What it installs is neither enabled nor started.
"""

import importlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main(names):
    known = sorted(f[:-3] for f in os.listdir(os.path.join(HERE, "components")) if f.endswith(".py"))
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        sys.exit(f"usage: install.py COMPONENT…\nno component {', '.join(wrong) or 'given'}; have {' '.join(known)}")
    if os.geteuid() != 0:
        sys.exit("install.py: must run as root")
    if "VIRTUAL_ENV" not in os.environ:
        sys.exit("install.py: must run in an activated Python environment")
    os.umask(0o022)
    for name in names:
        print(f"[+] {name}", flush=True)
        importlib.import_module("components." + name).install()


if __name__ == "__main__":
    main(sys.argv[1:])
