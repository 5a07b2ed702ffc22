"""Integrations that record calls of other libraries as spans.

Import the module you need. Each requires its library, such as `pip install "langchain-core>=0.3"`.
"""
