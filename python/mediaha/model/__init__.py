"""Frozen values and errors that every part of mediaha speaks in. Imports nothing of mediaha's."""
