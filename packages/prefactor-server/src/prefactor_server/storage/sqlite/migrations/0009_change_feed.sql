-- What each commit did to which runs; all changes of a commit have one position. span_ids are joined
-- by line breaks and begin with those that finished in this commit.
CREATE TABLE feed_change (
    position          INTEGER NOT NULL,
    account_id        TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    at                INTEGER NOT NULL,
    flags             INTEGER NOT NULL,
    finished          INTEGER NOT NULL,
    span_ids          TEXT NOT NULL,
    PRIMARY KEY (position, account_id, agent_instance_id)
) WITHOUT ROWID, STRICT;

-- At most one row: up to which position changes have been deleted.
CREATE TABLE feed_state (
    id        INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    pruned_to INTEGER NOT NULL
) STRICT;

-- How far everything that is derived from the feed is; backfill is NULL once all that was stored
-- before has been filled in.
CREATE TABLE feed_consumer (
    name     TEXT NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL,
    backfill TEXT,
    revision INTEGER NOT NULL
) STRICT;

CREATE TABLE lease (
    name    TEXT NOT NULL PRIMARY KEY,
    holder  TEXT NOT NULL,
    ends_at INTEGER NOT NULL
) STRICT;
