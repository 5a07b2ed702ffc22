-- Days whose figures have the stored form of an earlier version. They are rewritten, and then their
-- rows here are deleted. Shorter buckets are left: they are deleted by their age.
INSERT INTO series_rollup_due
SELECT DISTINCT account_id, agent_id, bucket_seconds, start FROM series_rollup
WHERE bucket_seconds = 86400
ON CONFLICT DO NOTHING;
