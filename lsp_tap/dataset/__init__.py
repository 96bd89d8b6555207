"""Recorded sessions of one or many projects -> datasets (extra `lsp-tap[dataset]`)."""
