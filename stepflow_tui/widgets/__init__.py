"""Reusable widgets that draw line by line."""
