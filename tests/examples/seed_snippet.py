"""The snippet from the beginning of the project, as it stood, on a file that lsp-tap wrote.

python tests/examples/seed_snippet.py        in a folder with .opencode-logs/dspy-ses_123.json
"""
# mypy: ignore-errors
# ruff: noqa
# fmt: off

import json
from dspy import Example

# Load training data
with open('.opencode-logs/dspy-ses_123.json') as f:
    data = json.load(f)

# Only use successful sessions
if data['outcome']['success']:
    for ex in data['examples']:
        example = Example(
            task=ex['input']['task'],
            context=ex['input']['context'],
            actions=ex['actions'],
            response=ex['output']['response']
        ).with_inputs('task', 'context')

# (as it stood up to here)
print(f"inputs {sorted(example.inputs().keys())}, labels {sorted(example.labels().keys())}: {example.response}")
