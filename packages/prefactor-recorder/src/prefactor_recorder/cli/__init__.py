"""The `prefactor-spool` command."""
