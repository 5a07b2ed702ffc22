"""What other libraries do, recorded as spans.

Import the module that you need; each requires its library:
`pip install "langchain-core>=0.3"`, and so on.
"""
