-- What evaluations said of runs: one document a run, with a payload and a summary by name. Apart
-- from the run, because lists and batches read runs all the time and this hardly ever.
CREATE TABLE agent_instance_quality (
    id          text COLLATE "C" NOT NULL,
    account_id  text COLLATE "C" NOT NULL,
    inserted_at bigint NOT NULL,
    document    bytea NOT NULL,
    updated_at  bigint NOT NULL,
    revision    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);
