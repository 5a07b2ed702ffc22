-- The index of words of the PostgreSQL backend.

-- name: search.bound
-- Of words that nearly every span has, a part of the spans is enough.
SET LOCAL gin_fuzzy_search_limit = 50000

-- name: search.by_index
-- The words of a span are long: going through spans costs more than the planner knows.
SET LOCAL enable_seqscan = off

-- name: search.find
-- Some spans that have all words, those that were indexed last first.
WITH found AS MATERIALIZED (
    SELECT agent_instance_id, span_id, is_cut FROM search_document
    -- Not to be found by the account: nearly all spans may be of one.
    WHERE account_id || '' = $1
        AND array_to_tsvector(string_to_array(words, ' ')) @@ $2::text::tsquery
    LIMIT $3
)
SELECT agent_instance_id, span_id, is_cut FROM found ORDER BY agent_instance_id DESC, span_id DESC
