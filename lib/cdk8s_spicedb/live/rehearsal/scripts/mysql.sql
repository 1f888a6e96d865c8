SELECT JSON_OBJECT('fact', 'sample', 'at', UNIX_TIMESTAMP(SYSDATE(6)),
    'bytes', (SELECT SUM(file_size) FROM information_schema./*M! innodb_sys_tablespaces *//*!80000 innodb_tablespaces */
        WHERE name LIKE CONCAT(DATABASE(), '/%')),
    'log', (SELECT CAST(variable_value AS UNSIGNED)
        FROM /*M! information_schema.*//*!80000 performance_schema.*/global_status
        WHERE variable_name = 'Innodb_os_log_written'),
    'locks', /*!80000 NULL *//*M! (SELECT IFNULL(JSON_ARRAYAGG(JSON_ARRAY(table_name, lock_mode)), JSON_ARRAY())
        FROM information_schema.metadata_lock_info
        WHERE table_schema = DATABASE() AND FIND_IN_SET(table_name, @tables)
            AND lock_mode IN ('MDL_SHARED_NO_WRITE', 'MDL_SHARED_READ_ONLY', 'MDL_SHARED_NO_READ_WRITE',
                'MDL_EXCLUSIVE')) */);
