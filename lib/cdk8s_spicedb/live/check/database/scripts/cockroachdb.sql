BEGIN READ ONLY;
SET LOCAL statement_timeout = '3s';
SELECT json_build_object('fact', 'server', 'version', version(), 'user', current_user, 'database', current_database());
SELECT json_build_object('fact', 'revision', 'revision', version_num) FROM schema_version;
SELECT json_build_object('fact', 'create', 'allowed',
    has_database_privilege(current_database(), 'CREATE') OR has_schema_privilege(current_schema(), 'CREATE'));
COMMIT;
