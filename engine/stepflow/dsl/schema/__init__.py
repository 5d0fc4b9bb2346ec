"""The JSON Schema of a template, one part of the language in a file."""
