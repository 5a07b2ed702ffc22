-- Metadata of runs: one JSON document a run, apart from the run, because spans write runs all the time
-- and metadata hardly ever.
CREATE TABLE agent_instance_metadata (
    id          text COLLATE "C" NOT NULL,
    account_id  text COLLATE "C" NOT NULL,
    inserted_at bigint NOT NULL,
    document    text COLLATE "C" NOT NULL,
    updated_at  bigint NOT NULL,
    revision    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
);

-- The same, one row per key, kept by the trigger below. Its primary key finds the runs with a value,
-- and counts the values of a key.
CREATE TABLE agent_instance_metadata_entry (
    account_id        text COLLATE "C" NOT NULL,
    key               text COLLATE "C" NOT NULL,
    value             text COLLATE "C" NOT NULL,
    agent_instance_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, key, value, agent_instance_id)
);

CREATE INDEX agent_instance_metadata_entry_of_instance
    ON agent_instance_metadata_entry (account_id, agent_instance_id);

CREATE FUNCTION agent_instance_metadata_changed() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM agent_instance_metadata_entry
        WHERE account_id = OLD.account_id AND agent_instance_id = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO agent_instance_metadata_entry (account_id, key, value, agent_instance_id)
        SELECT NEW.account_id, entry.key, entry.value, NEW.id
        FROM json_each_text(NEW.document::json) AS entry;
    END IF;
    RETURN NULL;
END
$body$;

CREATE TRIGGER agent_instance_metadata_changed
    AFTER INSERT OR UPDATE OR DELETE ON agent_instance_metadata
    FOR EACH ROW EXECUTE FUNCTION agent_instance_metadata_changed();
