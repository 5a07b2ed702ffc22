-- How long runs are kept, one policy per account. Rules are a JSON list.
-- The audit log is kept for audit_days, forever if NULL.
CREATE TABLE retention_policy (
    id          text COLLATE "C" NOT NULL,
    account_id  text COLLATE "C" NOT NULL,
    inserted_at bigint NOT NULL,
    rules       text COLLATE "C" NOT NULL,
    audit_days  bigint,
    updated_at  bigint NOT NULL,
    revision    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);
