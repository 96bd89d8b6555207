"""`lsp-tap inspect`: the same items as `log`, full-screen.

A recording may be a million messages long, and no key may wait for it:

- a worker process (`feed`) reads the journals as `log` does and says where each message is; 26 bytes of it are kept
  (`rows`), and what is on the screen is read from the file when it is drawn;
- filters and searches are workers too, which say which messages they mean as they find them; so is the fold behind the
  diagnostics of a document (`document`), since it keeps every text;
- the screen (`app`, on Textual) only takes in what they say.

A compressed journal has no places to go back to, so it is unpacked into a temporary folder, for as long as it is looked
at.
"""
