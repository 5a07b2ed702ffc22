"""What other libraries do, recorded as spans.

Each module here is imported by whoever wants it, and needs its library:
`pip install "prefactor-recorder[langchain]"`, and so on.
"""
