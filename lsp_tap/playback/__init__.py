"""Recordings played again: the client's side against a server, the server's side as a mock, one against another."""
