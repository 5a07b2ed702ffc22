-- Runs that have been deleted before all of their spans: these go in slices, and nothing shows them.
CREATE TABLE deleted_run (
    account_id TEXT NOT NULL,
    id         TEXT NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID, STRICT;

CREATE VIEW visible_span AS
SELECT * FROM agent_span AS span
WHERE NOT EXISTS (SELECT 1 FROM deleted_run AS gone
                  WHERE gone.account_id = span.account_id AND gone.id = span.agent_instance_id);
