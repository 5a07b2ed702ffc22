-- Only a SQLite file deletes a long run in slices. Nothing changes here.
SELECT 1;
