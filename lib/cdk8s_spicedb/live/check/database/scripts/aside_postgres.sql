-- What it takes to move the tables of SpiceDB to another schema of the database.
SELECT json_build_object('fact', 'aside',
    'allowed', has_database_privilege(current_database(), 'CREATE'),
    'foreign', count(*) FILTER (WHERE NOT pg_has_role(tableowner, 'USAGE')),
    'longest', 0)
FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ({tables});
-- act: if that schema exists, this was done before.
SELECT to_regnamespace('{aside}') IS NOT NULL AS before \gset
BEGIN;
SET LOCAL lock_timeout = '10s';
DO $$
DECLARE found text;
BEGIN
    IF to_regnamespace('{aside}') IS NULL THEN
        CREATE SCHEMA {aside};
        FOR found IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ({tables}) LOOP
            EXECUTE format('ALTER TABLE %I SET SCHEMA {aside}', found);
        END LOOP;
    END IF;
END
$$;
COMMIT;
SELECT json_build_object('fact', 'moved', 'left', CASE WHEN :'before' THEN 0 ELSE count(*) END)
FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ({tables});
