"""What components are installed with."""

import os
import shutil
import subprocess

from prologin import files, secret

SADM = os.path.dirname(os.path.abspath(__file__))
APPLICATIONS = "/var/prologin"
PYTHON = "/opt/prologin/venv/bin/python"

UNIT = """[Unit]
Description={description}
After=network.target {after}
StartLimitIntervalSec=0

[Service]
Type=notify
User={user}
Environment=PYTHONUNBUFFERED=1
ExecStart={command}
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
"""

VHOST = """server {{
    listen 80;
    server_name {name} {name}.prolo;
    access_log /var/log/nginx/{name}.access.log;
{includes}
    location / {{
{protect}        proxy_pass http://127.0.0.1:{port};
        include prologin/proxy_params;
    }}
}}
"""


def run(*command, **options):
    """Run a command, which must succeed."""
    return subprocess.run(command, check=True, text=True, **options)


def write(path, text, mode=0o644):
    """Write a file below directories that are made."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    files.replace(path, text, mode)


def copy(source, target=None):
    """Copy a file or tree of ours, by default to the same place in the machine."""
    target = target or "/" + source
    source = os.path.join(SADM, source)
    if os.path.isdir(source):
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)


def service(name, description, command=None, user="prologin", after="", instance=False):
    """Install the unit of a module of prologin, or of a command; with instance, a template of units."""
    module = f"{PYTHON} -m prologin.{name}" + (" %i" if instance else "")
    text = UNIT.format(description=description, user=user, after=after, command=command or module)
    write(f"/etc/systemd/system/{name}{'@' if instance else ''}.service", text)
    run("systemctl", "daemon-reload")


def vhost(name, port, sso=False, include=(), services="services"):
    """Have nginx serve http://NAME/ from a port of this machine, with sso telling it who asks.

    What include names, below /etc/nginx/prologin, is the server's as well. Services that
    are only for the contest are apart from the others.
    """
    includes = [f"    include prologin/{file};\n" for file in (["sso_handler"] if sso else []) + list(include)]
    protect = "        include prologin/sso_protect;\n" if sso else ""
    text = VHOST.format(name=name, port=port, includes="".join(includes), protect=protect)
    write(f"/etc/nginx/{services}/{name}.nginx", text)


def app(name):
    """Install the command line of a module of prologin as manage.py."""
    write(f"{APPLICATIONS}/{name}/manage.py", f"""#!{PYTHON}
import sys

from prologin import {name}

{name}.manage(sys.argv[1:])
""", 0o755)


def psql(script, database="postgres"):
    """Run SQL as the administrator of this machine's databases."""
    run("psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database,
        input=script, stdout=subprocess.DEVNULL)


def database(name, schema=""):
    """Make a database and the role of the same name that owns it, and run the schema in it."""
    password = secret.derive("db:" + name)
    psql(f"""
        SELECT 'CREATE ROLE {name} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec
        ALTER ROLE {name} PASSWORD '{password}';
        SELECT 'CREATE DATABASE {name} OWNER {name}'
            WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
    """)
    if schema:
        psql(f"SET client_min_messages = warning; SET ROLE {name};\n{schema};", name)
