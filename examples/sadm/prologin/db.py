"""Access to the databases. Each has a role of its own name."""

import psycopg2
import psycopg2.extras

from prologin import secret

LOCAL = "/run/postgresql"


def connect(name, host=LOCAL):
    """Connect to a database, by default that of this machine."""
    return psycopg2.connect(
        dbname=name, user=name, host=host, password=secret.derive("db:" + name),
        cursor_factory=psycopg2.extras.RealDictCursor)


def query(name, sql, args=(), host=LOCAL):
    """Run one statement in a transaction of its own; return its rows as dicts."""
    connection = connect(name, host)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, args)
            return [dict(row) for row in cursor] if cursor.description else []
    finally:
        connection.close()


def matching(rows, wanted):
    """Return the rows whose fields have the wanted values, all if none are wanted."""
    return [row for row in rows if all(str(row[field]) == value for field, value in wanted.items())]
