"""Relays the machine database to those who follow it."""

from prologin import sync

PORT = 20010

if __name__ == "__main__":
    sync.relay("mdbsync", PORT, "http://mdb/call/query")
