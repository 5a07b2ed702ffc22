-- Metadata of runs: one JSON document a run, apart from the run, because spans write runs all the time
-- and metadata hardly ever.
CREATE TABLE agent_instance_metadata (
    id          TEXT NOT NULL,
    account_id  TEXT NOT NULL,
    inserted_at INTEGER NOT NULL,
    document    TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT;

-- The same, one row per key, kept by the triggers below. Its primary key finds the runs with a value,
-- and counts the values of a key.
CREATE TABLE agent_instance_metadata_entry (
    account_id        TEXT NOT NULL,
    key               TEXT NOT NULL,
    value             TEXT NOT NULL,
    agent_instance_id TEXT NOT NULL,
    PRIMARY KEY (account_id, key, value, agent_instance_id)
) WITHOUT ROWID, STRICT;

CREATE INDEX agent_instance_metadata_entry_of_instance
    ON agent_instance_metadata_entry (account_id, agent_instance_id);

CREATE TRIGGER agent_instance_metadata_inserted AFTER INSERT ON agent_instance_metadata BEGIN
    INSERT INTO agent_instance_metadata_entry (account_id, key, value, agent_instance_id)
    SELECT NEW.account_id, entry.key, entry.value, NEW.id FROM json_each(NEW.document) AS entry;
END;

CREATE TRIGGER agent_instance_metadata_updated AFTER UPDATE ON agent_instance_metadata BEGIN
    DELETE FROM agent_instance_metadata_entry
    WHERE account_id = OLD.account_id AND agent_instance_id = OLD.id;
    INSERT INTO agent_instance_metadata_entry (account_id, key, value, agent_instance_id)
    SELECT NEW.account_id, entry.key, entry.value, NEW.id FROM json_each(NEW.document) AS entry;
END;

CREATE TRIGGER agent_instance_metadata_deleted AFTER DELETE ON agent_instance_metadata BEGIN
    DELETE FROM agent_instance_metadata_entry
    WHERE account_id = OLD.account_id AND agent_instance_id = OLD.id;
END;
