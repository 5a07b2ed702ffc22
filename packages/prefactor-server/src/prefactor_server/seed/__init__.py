"""Example data: agents with two weeks of runs, written through the public API.

`agents` and `span_types` say what is declared, `words` what is talked about, `recording` how spans
nest, `scenarios` what an agent does in a run, and `history` which runs there are and when. All of
that is pure: a seed and a moment decide every byte. `api_client` and `filling` send it.
"""
