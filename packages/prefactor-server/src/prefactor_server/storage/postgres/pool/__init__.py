"""What pools of connections do beyond handing them out."""
