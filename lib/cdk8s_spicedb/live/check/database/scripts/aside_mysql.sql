-- Renames the tables of SpiceDB, all in one statement. If there are tables with the new names, this was done before.
SET SESSION group_concat_max_len = 65535;
SET SESSION lock_wait_timeout = 10;
SELECT COUNT(*) INTO @before FROM information_schema.tables
WHERE table_schema = DATABASE() AND LEFT(table_name, CHAR_LENGTH('{aside}')) = '{aside}';
SELECT GROUP_CONCAT('`', table_name, '` TO `{aside}_', table_name, '`' SEPARATOR ', ') INTO @names
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ({tables});
SET @renames = IF(@before OR @names IS NULL, 'DO 0', CONCAT('RENAME TABLE ', @names));
PREPARE renames FROM @renames;
EXECUTE renames;
SELECT JSON_OBJECT('fact', 'moved', 'left', COUNT(*))
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ({tables});
