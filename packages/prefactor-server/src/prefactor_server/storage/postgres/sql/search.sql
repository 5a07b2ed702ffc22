-- The search index on PostgreSQL.

-- name: search.bound
-- Limit the matches of words that nearly every span contains. Some of these spans are enough.
SET LOCAL gin_fuzzy_search_limit = 50000

-- name: search.by_index
-- Use the index. The planner underestimates a sequential scan, because the words of a span are
-- long.
SET LOCAL enable_seqscan = off

-- name: search.find
-- Some spans that contain all words, the last indexed ones first.
WITH found AS MATERIALIZED (
    SELECT agent_instance_id, span_id, is_cut FROM search_document
    -- Not to be found by the account: nearly all spans may be of one.
    WHERE account_id || '' = $1
        AND array_to_tsvector(string_to_array(words, ' ')) @@ $2::text::tsquery
    LIMIT $3
)
SELECT agent_instance_id, span_id, is_cut FROM found ORDER BY agent_instance_id DESC, span_id DESC
