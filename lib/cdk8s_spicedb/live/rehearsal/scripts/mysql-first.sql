-- Only MariaDB shows the locks of all sessions, with this plugin. Nobody uses a table that is being created, so later
-- questions are about the tables of now.
/*M! INSTALL PLUGIN IF NOT EXISTS metadata_lock_info SONAME 'metadata_lock_info' */;
SET @tables = (SELECT GROUP_CONCAT(table_name) FROM information_schema.tables WHERE table_schema = DATABASE());
