"""What strangers send in and the server evaluates: JSON Schemas and Liquid templates.

Both are programs. Everything here bounds what they may cost before it lets them run, never raises
for what they contain, and reaches neither the network nor a file.
"""
