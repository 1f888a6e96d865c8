-- Moves the tables of SpiceDB to another schema of the database, with their indexes. If that schema exists, this was
-- done before.
SELECT json_build_object('fact', 'aside', 'allowed',
    has_database_privilege(current_database(), 'CREATE'), 'exists', to_regnamespace('{aside}') IS NOT NULL);
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
SELECT json_build_object('fact', 'moved', 'left', count(*))
FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ({tables});
