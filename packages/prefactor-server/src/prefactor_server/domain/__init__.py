"""The domain model: nouns, their state machines and their rules, as pure values.

Everything here imports only the standard library, reads no clock and draws no randomness.
"""
