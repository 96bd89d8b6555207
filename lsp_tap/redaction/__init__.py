"""Secrets, user names and home paths out of everything that is exported.

    redactor = Redactor(environment=os.environ, directories=["/home/ada/shop"])
    redactor.text("export GITHUB_TOKEN=ghp_...")      # export GITHUB_TOKEN=[REDACTED:github-pat:1]
    redactor.value({"file": "/home/ada/shop/a.py"})   # {"file": "/home/user/shop/a.py"}
    redactor.report                                   # Counter({"github-pat": 1, "home path": 1})

- `rules`: what secrets look like (`rules.json`, derived from gitleaks; `own_rules.json`); `derivation` made the former
- `finding`: where in a text they are, whole
- `joining`: tokens that quotes and line ends cut in pieces
- `environment`: values of variables, known exactly or by a keyed hash
- `homes`: paths that say who somebody is
- `redactor`: all of it together

Pure but for `environment.read_key`, which reads a file. Imports nothing of lsp_tap but its errors.
"""

from lsp_tap.redaction.redactor import Redactor

__all__ = ["Redactor"]
