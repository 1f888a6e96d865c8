SET SESSION TRANSACTION READ ONLY;
SET SESSION lock_wait_timeout = 2;
/*M! SET SESSION max_statement_time = 3 */;
/*!80000 SET SESSION max_execution_time = 3000, information_schema_stats_expiry = 0 */;

SELECT JSON_OBJECT(
    'fact', 'server',
    'version', VERSION(),
    'comment', @@version_comment,
    'user', CURRENT_USER(),
    'database', DATABASE(),
    'read_only', IF(@@read_only, 1, 0),
    'connections', @@max_connections,
    'user_connections', @@max_user_connections,
    'own', (SELECT COUNT(*) FROM information_schema.processlist
        WHERE user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND id <> CONNECTION_ID()));

SHOW GRANTS;

SELECT JSON_OBJECT('fact', 'revision', 'revision', SUBSTR(column_name, 15))
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = '{prefix}mysql_migration_version'
    AND column_name LIKE '\_meta\_version\_%';

SELECT JSON_OBJECT('fact', 'table', 'name', table_name, 'rows', table_rows, 'bytes', data_length,
    'index_bytes', index_length)
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ({tables});

SHOW GLOBAL STATUS LIKE 'Threads_connected';

-- This waits, and fails, if somebody has locked the table.
SELECT JSON_OBJECT('fact', 'readable', 'rows', COUNT(*)) FROM (SELECT 1 FROM `{prefix}relation_tuple` LIMIT 1) t;

SELECT JSON_OBJECT('fact', 'transaction', 'pid', trx_mysql_thread_id, 'state', trx_state,
    'seconds', TIMESTAMPDIFF(SECOND, trx_started, NOW()), 'tables', trx_tables_locked, 'rows', trx_rows_modified)
FROM information_schema.innodb_trx
WHERE trx_mysql_thread_id <> CONNECTION_ID() AND trx_started < NOW() - INTERVAL {patience} SECOND
ORDER BY trx_started LIMIT 20;

SELECT JSON_OBJECT('fact', 'sees_transactions', 'count', COUNT(*)) FROM information_schema.innodb_trx;

-- Who holds which lock: MySQL's own table, then a plugin of MariaDB. Both are often missing, or not visible.
SELECT JSON_OBJECT('fact', 'lock', 'pid', t.processlist_id, 'table', m.object_name, 'mode', m.lock_type)
FROM performance_schema.metadata_locks m JOIN performance_schema.threads t ON t.thread_id = m.owner_thread_id
WHERE m.object_type = 'TABLE' AND m.object_schema = DATABASE() AND m.object_name IN ({tables})
    AND m.lock_status = 'GRANTED' AND t.processlist_id <> CONNECTION_ID() LIMIT 200;
SELECT JSON_OBJECT('fact', 'sees_locks', 'by', name)
FROM performance_schema.setup_instruments WHERE name = 'wait/lock/metadata/sql/mdl' AND enabled = 'YES';

SELECT JSON_OBJECT('fact', 'lock', 'pid', thread_id, 'table', table_name, 'mode', lock_mode)
FROM information_schema.metadata_lock_info
WHERE table_schema = DATABASE() AND table_name IN ({tables}) AND thread_id <> CONNECTION_ID() LIMIT 200;
SELECT JSON_OBJECT('fact', 'sees_locks', 'by', plugin_name)
FROM information_schema.plugins WHERE plugin_name = 'METADATA_LOCK_INFO' AND plugin_status = 'ACTIVE';
