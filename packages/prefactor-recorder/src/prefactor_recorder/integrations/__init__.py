"""What other libraries do, recorded as spans.

Each module here is imported by whoever wants it, and needs its library:
`pip install "langchain-core>=0.3"`, and so on.
"""
