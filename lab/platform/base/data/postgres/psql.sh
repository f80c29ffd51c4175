#!/bin/sh
# For an operator inside a pod: psql as the superuser of this very server.
export PGPASSWORD="$PATRONI_SUPERUSER_PASSWORD"
exec psql --no-psqlrc --set ON_ERROR_STOP=1 --host 127.0.0.1 --username postgres \
  --dbname "$APP_DATABASE" --tuples-only --no-align "$@"
