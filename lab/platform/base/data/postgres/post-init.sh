#!/bin/sh
# Patroni calls this once, on the first primary, with a connection string of the superuser.
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "$1" --file /scripts/roles.sql
