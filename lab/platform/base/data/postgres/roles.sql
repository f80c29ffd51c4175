-- Roles, the database and who may enter it. Run once by post-init.sh; passwords come from the
-- environment, and neither the server's log nor pg_stat_statements may see them.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET pg_stat_statements.track = 'none';
\getenv app_user APP_USER
\getenv app_password APP_PASSWORD
\getenv app_database APP_DATABASE
\getenv monitoring_user MONITORING_USER
\getenv monitoring_password MONITORING_PASSWORD
\getenv backup_user BACKUP_USER
\getenv backup_password BACKUP_PASSWORD

CREATE ROLE aikernel_owner NOLOGIN;
CREATE ROLE :"app_user" LOGIN PASSWORD :'app_password';
CREATE ROLE :"monitoring_user" LOGIN PASSWORD :'monitoring_password' CONNECTION LIMIT 20;
CREATE ROLE :"backup_user" LOGIN PASSWORD :'backup_password' CONNECTION LIMIT 5;
GRANT pg_monitor TO :"monitoring_user";
GRANT pg_read_all_data TO :"backup_user";

CREATE DATABASE :"app_database" OWNER aikernel_owner;
REVOKE ALL ON DATABASE :"app_database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"app_database" TO :"app_user", :"monitoring_user", :"backup_user";

\connect :"app_database"
\ir /etc/postgresql/init-catalog.sql

-- What an auditor may see beyond pg_monitor: the rules of pg_hba.conf and when they were
-- changed, and how each role's password is stored, but not the stored password.
GRANT SELECT ON pg_hba_file_rules TO :"monitoring_user";
GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO :"monitoring_user";
GRANT EXECUTE ON FUNCTION pg_stat_file(text) TO :"monitoring_user";
CREATE SCHEMA monitoring;
CREATE VIEW monitoring.login_roles AS
    SELECT rolname, rolsuper, rolreplication,
           CASE WHEN rolpassword IS NULL THEN 'none'
                WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram-sha-256'
                WHEN rolpassword LIKE 'md5%' THEN 'md5'
                ELSE 'unknown' END AS password_method
    FROM pg_authid WHERE rolcanlogin;
GRANT USAGE ON SCHEMA monitoring TO :"monitoring_user";
GRANT SELECT ON monitoring.login_roles TO :"monitoring_user";
GRANT USAGE ON SCHEMA catalog, identity, secrets, audit TO :"monitoring_user";
GRANT SELECT ON audit.event_log TO :"monitoring_user";
