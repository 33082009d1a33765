"""Relays the user database, with passwords and keys, to those who have the token."""

from prologin import sync

PORT = 20090

if __name__ == "__main__":
    sync.relay("udbsync", PORT, "http://udb/call/query", service="udb", private=True)
