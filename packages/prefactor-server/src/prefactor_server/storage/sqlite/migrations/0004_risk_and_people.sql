-- Risk profiles, the people of an account and their invitations, and an index for alerts.

-- Weights, multipliers and thresholds are JSON. A deleted profile stays, unlisted, so that what refers
-- to it can still be told from what refers to nothing.
CREATE TABLE risk_profile (
    id                 TEXT NOT NULL,
    account_id         TEXT NOT NULL REFERENCES account (id),
    formula            INTEGER NOT NULL,
    inserted_at        INTEGER NOT NULL,
    name               TEXT NOT NULL,
    description        TEXT,
    category_weights   TEXT NOT NULL,
    action_multipliers TEXT NOT NULL,
    thresholds         TEXT NOT NULL,
    agreed_risk        TEXT
        CHECK (agreed_risk IN ('low', 'medium', 'high', 'critical')),
    deleted_at         INTEGER,
    updated_at         INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE TABLE admin_user (
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL REFERENCES account (id),
    email       TEXT NOT NULL,
    inserted_at INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE UNIQUE INDEX admin_user_email ON admin_user (account_id, email);

-- pending -> used | revoked. Of its token the hash is kept.
CREATE TABLE admin_user_invite (
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL REFERENCES account (id),
    email       TEXT NOT NULL,
    token_hash  BLOB NOT NULL UNIQUE,
    inserted_at INTEGER NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('pending', 'used', 'revoked')),
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

-- For alerts: runs that ended badly, newest first. Nothing else pays for it.
CREATE INDEX agent_instance_ended_badly ON agent_instance (account_id, finished_at)
    WHERE status IN ('failed', 'terminated');
