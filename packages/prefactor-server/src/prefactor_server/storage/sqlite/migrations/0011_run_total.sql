-- What the spans of a run come to; cost is in billionths of the currency. price_revision and
-- risk_revision say what the cost and the risk were made with.
CREATE TABLE run_total (
    account_id       TEXT NOT NULL,
    id               TEXT NOT NULL,
    agent_id         TEXT NOT NULL,
    cost             INTEGER,
    unpriced_spans   INTEGER NOT NULL,
    risk_score       REAL,
    risk_level       TEXT,
    last_activity_at INTEGER,
    usage            TEXT NOT NULL,
    price_revision   INTEGER NOT NULL,
    risk_revision    TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE INDEX run_total_cost ON run_total (account_id, cost, id);
CREATE INDEX run_total_risk_score ON run_total (account_id, risk_score, id);
CREATE INDEX run_total_risk_level ON run_total (account_id, risk_level, id)
    WHERE risk_level IS NOT NULL;
-- For finding those that were made with other prices or another profile.
CREATE INDEX run_total_prices ON run_total (price_revision);
CREATE INDEX run_total_risk ON run_total (account_id, agent_id, risk_revision);

-- Runs whose spans have changed since they were counted last.
CREATE TABLE run_total_due (
    account_id TEXT NOT NULL,
    id         TEXT NOT NULL,
    since      INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

CREATE INDEX run_total_due_since ON run_total_due (since);
