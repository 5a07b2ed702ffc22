"""What may be done to rows: one command per write, each a pure decision over a snapshot."""
