-- A SQLite file has the table and the view already. Nothing changes here.
SELECT 1;
