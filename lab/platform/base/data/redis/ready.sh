#!/bin/sh
# Ready means: this Redis serves its role to someone who logs in. A replica whose link to the
# master is down serves old data and is not ready; neither is one that refuses the password.
set -eu
export REDISCLI_AUTH="$REDIS_PASSWORD"
answer=$(timeout 4 redis-cli PING 2>&1) || true
[ "$answer" = PONG ] || { echo "PING is answered: $answer"; exit 1; }
replication=$(timeout 4 redis-cli INFO replication | tr -d '\r')
case "$replication" in
  *role:master*) ;;
  *master_link_status:up*) ;;
  *) echo "the link to the master is not up"; exit 1 ;;
esac
