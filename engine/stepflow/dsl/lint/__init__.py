"""What is risky or out of date in a template that is valid: rules in `rules/`, one file each, and what they need."""
