"""Secrets, user names and home paths out of everything that is exported."""
