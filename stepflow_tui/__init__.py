"""The terminal UI. It speaks to `stepflow.client` alone and never does the work itself."""

import os

# What a key does is drawn 8 ms after what was drawn before it, not 17. Textual reads it where it is first imported.
os.environ.setdefault("TEXTUAL_FPS", "120")
