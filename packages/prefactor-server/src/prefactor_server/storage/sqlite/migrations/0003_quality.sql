-- What evaluations said of runs: one document a run, with a payload and a summary by name. Apart
-- from the run, because lists and batches read runs all the time and this hardly ever.
CREATE TABLE agent_instance_quality (
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    inserted_at INTEGER NOT NULL,
    document    BLOB NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

-- For forgetting the oldest. The order of arrival is not enough: keys that a wrong clock stamped in
-- the far future would stand before all that came after them.
CREATE INDEX idempotency_key_age ON idempotency_key (inserted_at);
