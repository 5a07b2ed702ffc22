-- What each commit did to which runs; all changes of a commit have one position, which is the number
-- of its transaction plus feed_state.shift. span_ids are joined by line breaks and begin with those
-- that finished in this commit.
CREATE TABLE feed_change (
    position          bigint NOT NULL,
    account_id        text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    at                bigint NOT NULL,
    flags             bigint NOT NULL,
    finished          bigint NOT NULL,
    span_ids          text COLLATE "C" NOT NULL,
    PRIMARY KEY (position, account_id, agent_instance_id)
);

-- Ids are read once or twice and then deleted: compressing them would cost more than their place.
ALTER TABLE feed_change ALTER COLUMN span_ids SET STORAGE EXTERNAL;

-- At most one row: up to which position changes have been deleted, and what is added to the numbers
-- of transactions. A database that was restored into a cluster with lower numbers needs that.
CREATE TABLE feed_state (
    id        bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    pruned_to bigint NOT NULL,
    shift     bigint NOT NULL
);

-- How far everything that is derived from the feed is; backfill is NULL once all that was stored
-- before has been filled in.
CREATE TABLE feed_consumer (
    name     text COLLATE "C" NOT NULL PRIMARY KEY,
    position bigint NOT NULL,
    backfill text COLLATE "C",
    revision bigint NOT NULL
);

CREATE TABLE lease (
    name    text COLLATE "C" NOT NULL PRIMARY KEY,
    holder  text COLLATE "C" NOT NULL,
    ends_at bigint NOT NULL
);
