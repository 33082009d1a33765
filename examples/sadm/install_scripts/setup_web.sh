#!/bin/bash
# What the web server needs beyond what every machine has.
set -euo pipefail

pacman -S --needed --noconfirm --noprogressbar ipset postgresql nginx
