#!/bin/sh
# Ready means: this server serves its role to someone who logs in. A primary accepts writes, a
# replica streams from a primary; a replica that was cut off serves old data and is not ready.
set -eu
export PGPASSWORD="$MONITORING_PASSWORD" PGCONNECT_TIMEOUT=3
serves=$(psql --no-psqlrc --tuples-only --no-align --host 127.0.0.1 \
  --username "$MONITORING_USER" --dbname "$APP_DATABASE" --command "
    SELECT CASE WHEN pg_is_in_recovery()
      THEN EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')
      ELSE NOT current_setting('transaction_read_only')::boolean END")
[ "$serves" = t ] || { echo "the server answers but does not serve its role"; exit 1; }
