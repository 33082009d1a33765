"""The database of who has a home on which server."""

from installer import database

SCHEMA = """
CREATE TABLE IF NOT EXISTS user_location (
    login text PRIMARY KEY,
    hfs integer NOT NULL
)"""


def install():
    database("hfs", SCHEMA)
