-- Only PostgreSQL plans reads of spans by estimates. Nothing changes here.
SELECT 1;
