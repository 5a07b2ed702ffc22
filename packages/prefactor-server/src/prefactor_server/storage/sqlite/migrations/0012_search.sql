-- Words are in a file beside this one; see search.sql. Nothing changes here.
SELECT 1;
