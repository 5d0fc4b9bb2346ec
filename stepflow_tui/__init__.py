"""The terminal UI. It speaks to `stepflow.client` alone and never does the work itself."""
