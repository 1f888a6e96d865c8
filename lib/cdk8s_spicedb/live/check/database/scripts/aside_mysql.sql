-- What it takes to rename the tables of SpiceDB.
SELECT JSON_OBJECT('fact', 'aside', 'allowed', TRUE, 'foreign', 0,
    'longest', COALESCE(MAX(CHAR_LENGTH(table_name)), 0) + CHAR_LENGTH('{aside}_'))
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ({tables});
-- act: all in one statement. If there are tables with the new names, this was done before.
SET SESSION group_concat_max_len = 65535;
SET SESSION lock_wait_timeout = 10;
SELECT COUNT(*) INTO @before FROM information_schema.tables
WHERE table_schema = DATABASE() AND LEFT(table_name, CHAR_LENGTH('{aside}_')) = '{aside}_';
SELECT GROUP_CONCAT('`', table_name, '` TO `{aside}_', table_name, '`' SEPARATOR ', ') INTO @names
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ({tables});
SET @renames = IF(@before OR @names IS NULL, 'DO 0', CONCAT('RENAME TABLE ', @names));
PREPARE renames FROM @renames;
EXECUTE renames;
SELECT JSON_OBJECT('fact', 'moved', 'left', IF(@before, 0, COUNT(*)))
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ({tables});
