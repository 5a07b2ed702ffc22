-- When a run was taken over from another server; NULL for runs that were registered here.
ALTER TABLE agent_instance ADD COLUMN imported_at bigint;
