"""The user database: contestants, organisers and roots."""

import ctypes
import re
import secrets
import string
import unicodedata

from prologin import db, http
from prologin.commands import Commands

PORT = 20080
FIRST_UID = {"user": 10000, "orga": 11000, "root": 12000}
PUBLIC = ("login", "firstname", "lastname", "uid", "group", "shell")
ALPHABET = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("il1o0")))

SCHEMA = """
CREATE TABLE IF NOT EXISTS udb_user (
    id serial PRIMARY KEY,
    login text NOT NULL UNIQUE,
    firstname text NOT NULL DEFAULT '',
    lastname text NOT NULL DEFAULT '',
    uid integer NOT NULL UNIQUE,
    "group" text NOT NULL,
    shell text NOT NULL DEFAULT '/bin/bash',
    password text NOT NULL,
    hash text NOT NULL,
    ssh_key text NOT NULL DEFAULT ''
)"""


def crypt(password):
    """Return what stands for a password in shadow(5)."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = "$6$" + secrets.token_hex(8)
    return library.crypt(password.encode(), salt.encode()).decode()


def users(**wanted):
    """Return the users whose fields have these values, all without any."""
    rows = db.query("udb", "SELECT * FROM udb_user ORDER BY uid")
    return db.matching(rows, wanted)


def login_of(first, last):
    """Make a login: Alain Proviste is aproviste."""
    text = unicodedata.normalize("NFKD", first[:1] + last).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9]", "", text.lower())


def add(login, group, first="", last="", length=8):
    """Add a user with a new password."""
    if not re.fullmatch("[a-z_][a-z0-9_-]{0,31}", login):
        raise ValueError(f"no login: {login!r}")
    uid = 1 + max([user["uid"] for user in users(group=group)], default=FIRST_UID[group] - 1)
    password = "".join(secrets.choice(ALPHABET) for _ in range(length))
    db.query("udb", """INSERT INTO udb_user (login, firstname, lastname, uid, "group", password, hash)
                       VALUES (%s, %s, %s, %s, %s, %s, %s)""",
             [login, first, last, uid, group, password, crypt(password)])


def batchimport(options):
    """Import a file with "First<tab>Last" or, with --logins, a login on each line."""
    with open(options.file) as file:
        lines = [line.split("\t") for line in file.read().splitlines() if line.strip()]
    for fields in lines:
        first, last = ("", "") if options.logins else (fields[0].strip(), fields[-1].strip())
        login = fields[0].strip() if options.logins else login_of(first, last)
        if not users(login=login):
            add(login, options.type, first, last, options.pwdlen)
        elif options.update:
            db.query("udb", "UPDATE udb_user SET firstname = %s, lastname = %s WHERE login = %s", [first, last, login])
        else:
            raise ValueError(f"{login} is there already; --update keeps the password")
    http.tell("udbsync")


def usermod(options):
    """Change a user."""
    change = {}
    if options.ssh_pubkey_file:
        with open(options.ssh_pubkey_file) as file:
            change["ssh_key"] = file.read().strip()
    if options.shell:
        change["shell"] = options.shell
    if options.password:
        change |= {"password": options.password, "hash": crypt(options.password)}
    if not users(login=options.login):
        raise ValueError(f"no user {options.login}")
    for column, value in change.items():
        db.query("udb", f"UPDATE udb_user SET {column} = %s WHERE login = %s", [value, options.login])
    http.tell("udbsync")


def pwdsheetdata(options):
    """Print what the password sheets are made of."""
    for user in users(group=options.type):
        print(user["login"], user["password"], user["firstname"], user["lastname"], sep="\t")


def public(user, trusted):
    shown = {field: user[field] for field in PUBLIC}
    shown["realname"] = f"{user['firstname']} {user['lastname']}".strip()
    if trusted:
        shown |= {"password": user["hash"], "ssh_key": user["ssh_key"]}
    return shown


def serve():
    app = http.Service("udb", PORT)

    @app.route("GET", "/")
    def index(request):
        return http.Text("".join(f"{user['login']}\n" for user in users()))

    @app.route("GET", "/call/query")
    def query(request):
        return [public(user, request.trusted) for user in users(**request.fields(PUBLIC))]

    app.run()


def manage(args):
    """The command line of manage.py."""
    commands = Commands()
    importing = commands.add(batchimport)
    importing.add_argument("--file", required=True)
    importing.add_argument("--type", choices=FIRST_UID, default="user")
    importing.add_argument("--pwdlen", type=int, default=8)
    importing.add_argument("--update", action="store_true", help="change users that are there")
    importing.add_argument("--logins", action="store_true", help="the lines are logins")
    changing = commands.add(usermod)
    changing.add_argument("login")
    for option in ("--ssh-pubkey-file", "--shell", "--password"):
        changing.add_argument(option)
    commands.add(pwdsheetdata).add_argument("--type", choices=FIRST_UID, default="user")
    commands.run(args)


if __name__ == "__main__":
    serve()
