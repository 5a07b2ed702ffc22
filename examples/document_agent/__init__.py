"""An agent that answers questions about a folder of documents, and records how it got there.

    documents  finding files, reading them, cutting them into passages
    words      from text to the terms that are compared
    index      which passages hold which terms, and how well they fit
    answer     ranking passages and quoting the best sentences
    agent      the agent: plan, search, read, rank, answer
    span_types what its steps look like to those who read the record

The first four know nothing of Prefactor.
"""
