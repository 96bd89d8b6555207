"""How lsp-tap is put into OpenCode and taken out again.

`jsonc` and `jsonc_edit` change a configuration file and leave every other byte alone; `opencode_config` knows
which files OpenCode reads and how it merges them; `builtin_servers` is the table of the language servers it
brings; `changes` is the one place that writes (all or nothing); `init` decides what to write; `doctor` looks
whether all of it works.
"""
