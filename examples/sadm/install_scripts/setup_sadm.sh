#!/bin/bash
# What every machine has: packages, and a Python to run the components with.
set -euo pipefail

pacman -Sy --needed --noconfirm --noprogressbar python python-psycopg2 rsync sqlite

mkdir -p /opt/prologin /var/prologin /etc/prologin
# Where it was before 2019.
ln -sfn /opt/prologin/venv /var/prologin/venv
getent passwd prologin >/dev/null ||
	useradd --system --home-dir / --shell /usr/bin/nologin prologin
python -m venv --system-site-packages --without-pip /opt/prologin/venv
