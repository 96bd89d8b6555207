"""For all tests."""

from hypothesis import settings

# Time is no property of what is tested: a busy machine would fail tests at random. Benchmarks look at time.
settings.register_profile("lsp-tap", deadline=None)
settings.load_profile("lsp-tap")
