-- Only PostgreSQL has partitions. Nothing changes here.
SELECT 1;
