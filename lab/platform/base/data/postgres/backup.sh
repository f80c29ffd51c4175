#!/bin/sh
# Dump the catalog, prove that the dump can be read to its end, keep the newest $KEEP.
set -eu
umask 077
export PGPASSWORD="$BACKUP_PASSWORD" PGCONNECT_TIMEOUT=10
export PGHOST=postgres-replica PGUSER="$BACKUP_USER"
PATH="/usr/lib/postgresql/15/bin:$PATH"

name="$APP_DATABASE-$(date -u +%Y%m%dT%H%M%SZ).dump"
partial="/backup/.$name.partial"
trap 'rm -f "$partial"' EXIT

pg_dump --format=custom --dbname="$APP_DATABASE" --file="$partial"
pg_restore --file=/dev/null "$partial"
pg_restore --list "$partial" | grep -q 'TABLE DATA audit event_log' || {
  echo "the dump does not hold the audit log" >&2
  exit 1
}
pg_dumpall --globals-only --no-role-passwords --database="$APP_DATABASE" \
  --file="/backup/${name%.dump}.globals.sql"
mv "$partial" "/backup/$name"
cd /backup
sha256sum "$name" "${name%.dump}.globals.sql" > "${name%.dump}.sha256"
sync

for old in $(ls -1 ./*.dump | sort | head -n "-$KEEP"); do
  rm -f "$old" "${old%.dump}.globals.sql" "${old%.dump}.sha256"
done
echo "kept $name: $(stat -c %s "$name") bytes; $(ls -1 ./*.dump | wc -l) dumps on the volume"
