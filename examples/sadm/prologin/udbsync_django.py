"""Keeps the accounts of a web application in its database: udbsync_django DATABASE."""

import sys

from prologin import db, sync

SCHEMA = """
CREATE TABLE IF NOT EXISTS auth_user (
    username text PRIMARY KEY,
    password text NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    is_active boolean NOT NULL,
    is_staff boolean NOT NULL,
    is_superuser boolean NOT NULL
)"""

UPSERT = """
INSERT INTO auth_user VALUES (%(login)s, %(password)s, %(firstname)s, %(lastname)s, true,
                              %(group)s <> 'user', %(group)s = 'root')
ON CONFLICT (username) DO UPDATE SET password = EXCLUDED.password, first_name = EXCLUDED.first_name,
    last_name = EXCLUDED.last_name, is_active = true, is_staff = EXCLUDED.is_staff,
    is_superuser = EXCLUDED.is_superuser"""


def write(database, users):
    """Make the accounts those of the users; one that is none any more is disabled."""
    connection = db.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        cursor.execute("UPDATE auth_user SET is_active = false WHERE NOT username = ANY(%s)",
                       [[user["login"] for user in users]])
        cursor.executemany(UPSERT, users)
    connection.close()


if __name__ == "__main__":
    sync.follow("udbsync", lambda users: write(sys.argv[1], users))
