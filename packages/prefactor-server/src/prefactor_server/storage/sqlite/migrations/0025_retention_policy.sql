-- How long runs are kept, one policy per account. Rules are a JSON list.
-- The audit log is kept for audit_days, forever if NULL.
CREATE TABLE retention_policy (
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    inserted_at INTEGER NOT NULL,
    rules       TEXT NOT NULL,
    audit_days  INTEGER,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;
