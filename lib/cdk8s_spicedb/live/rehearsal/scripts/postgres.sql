-- A lock request that waits also blocks the later ones. Autovacuum gives way.
SELECT json_build_object('fact', 'sample', 'at', extract(epoch FROM clock_timestamp()),
    'bytes', pg_database_size(current_database()), 'log', pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'),
    'locks', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(c.relname, l.mode)), '[]')
        FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_class c ON c.oid = l.relation
            JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND a.backend_type = 'client backend' AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'
            AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')));
