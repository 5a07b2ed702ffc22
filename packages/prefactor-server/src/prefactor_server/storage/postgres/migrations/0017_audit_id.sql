-- An id for each entry of the audit log, which makes its order total, and an index for each filter of
-- its list. NULLS FIRST is the order that lists ask for.
ALTER TABLE audit_entry
    ADD COLUMN id text COLLATE "C" NOT NULL PRIMARY KEY
        DEFAULT replace(gen_random_uuid()::text, '-', '');

DROP INDEX audit_entry_of_account;

CREATE INDEX audit_entry_of_account ON audit_entry (account_id, at NULLS FIRST, id);
CREATE INDEX audit_entry_of_actor ON audit_entry (account_id, actor, at NULLS FIRST, id);
CREATE INDEX audit_entry_of_action ON audit_entry (account_id, action, at NULLS FIRST, id);
CREATE INDEX audit_entry_of_resource ON audit_entry (account_id, resource_id, at NULLS FIRST, id);
