\set ON_ERROR_ROLLBACK on
BEGIN READ ONLY;
SET LOCAL statement_timeout = '3s';
SET LOCAL lock_timeout = '1s';

SELECT json_build_object(
    'fact', 'server',
    'version', current_setting('server_version'),
    'number', current_setting('server_version_num')::int,
    'user', current_user,
    'database', current_database(),
    'schema', current_schema(),
    'standby', pg_is_in_recovery(),
    'read_only', current_setting('default_transaction_read_only') = 'on',
    'statement_timeout', (SELECT reset_val::int FROM pg_settings WHERE name = 'statement_timeout'),
    'track_commit_timestamp', current_setting('track_commit_timestamp') = 'on',
    'create', has_schema_privilege(current_schema(), 'CREATE'),
    'sees_others', pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'));

SELECT json_build_object('fact', 'revision', 'revision', version_num) FROM alembic_version;

SELECT json_build_object(
    'fact', 'table',
    'name', c.relname,
    'owned', pg_has_role(c.relowner, 'USAGE'),
    'owner', pg_get_userbyid(c.relowner),
    'writable', has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
        AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'),
    'rows', c.reltuples::bigint,
    'bytes', c.relpages::bigint * current_setting('block_size')::bigint,
    'index_bytes', (SELECT coalesce(sum(i.relpages::bigint), 0) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid) * current_setting('block_size')::bigint)
FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    AND c.relname IN ({tables});

SELECT json_build_object('fact', 'broken_index', 'name', i.relname, 'table', c.relname)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
WHERE NOT x.indisvalid AND c.relname IN ({tables})
    AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.oid);

SELECT json_build_object(
    'fact', 'connections',
    'limit', current_setting('max_connections')::int,
    'reserved', current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int,
    'used', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
    'role_limit', (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user),
    'role_used', (SELECT count(*) FROM pg_stat_activity
        WHERE usename = current_user AND backend_type = 'client backend' AND pid <> pg_backend_pid()),
    'database_limit', (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
    'database_used', (SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()));

SELECT json_build_object(
    'fact', 'transaction', 'pid', pid, 'application', application_name, 'state', state,
    'seconds', extract(epoch FROM clock_timestamp() - xact_start)::int, 'worker', backend_type <> 'client backend')
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND xact_start < clock_timestamp() - interval '{patience} seconds'
ORDER BY xact_start LIMIT 20;

SELECT json_build_object(
    'fact', 'transaction', 'pid', null, 'application', 'prepared transaction ' || gid, 'state', 'prepared',
    'seconds', extract(epoch FROM clock_timestamp() - prepared)::int, 'worker', false)
FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared LIMIT 20;

SELECT json_build_object(
    'fact', 'lock', 'pid', l.pid, 'table', c.relname, 'mode', l.mode, 'application', a.application_name,
    'state', a.state, 'seconds', extract(epoch FROM clock_timestamp() - a.xact_start)::int,
    'worker', coalesce(a.backend_type <> 'client backend', false))
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND c.relname IN ({tables}) AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    AND (l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock') OR l.pid IS NULL
        OR a.xact_start < clock_timestamp() - interval '{patience} seconds')
LIMIT 50;

SELECT json_build_object(
    'fact', 'replica', 'application', application_name, 'state', state, 'sync', sync_state,
    'seconds', extract(epoch FROM replay_lag)::float,
    'bytes', CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint END)
FROM pg_stat_replication;

-- These come last, because they wait for tables that are locked.
SELECT json_build_object(
    'fact', 'transaction_ids', 'next', pg_snapshot_xmax(pg_current_snapshot())::text,
    'newest', (SELECT xid FROM relation_tuple_transaction ORDER BY xid DESC LIMIT 1)::text);

SELECT json_build_object('fact', 'size', 'name', c.relname, 'bytes', pg_relation_size(c.oid))
FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    AND c.relname IN ({tables});
COMMIT;
