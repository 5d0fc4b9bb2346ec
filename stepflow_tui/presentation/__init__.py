"""Records to text, pure: values in, spans out. Tested without an app."""
