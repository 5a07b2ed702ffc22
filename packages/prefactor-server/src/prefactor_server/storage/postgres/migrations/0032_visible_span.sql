-- A long run is deleted before its spans, as in a SQLite file: the spans go in slices, and nothing
-- shows them.
CREATE TABLE deleted_run (
    account_id text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    PRIMARY KEY (account_id, id)
);

CREATE VIEW visible_span AS
SELECT * FROM agent_span AS span
WHERE NOT EXISTS (SELECT FROM deleted_run AS gone
                  WHERE gone.account_id = span.account_id AND gone.id = span.agent_instance_id);
