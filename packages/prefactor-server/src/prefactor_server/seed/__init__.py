"""Example data: agents with two weeks of runs, written through the public API.

`agents` and `span_types` contain the declarations, `words` the vocabulary, `recording` the nesting
of spans, `scenarios` the steps of a run, and `history` the runs and their times. These modules are
pure: a seed and a time determine every byte. `api_client` and `filling` send the data.
"""
