"""DSPy: examples, metrics, optimisation, and prompts back into OpenCode (extra `lsp-tap[dspy]`)."""
