# Shared by the scripts of this pod: names, and how to ask the sentinels.
group=aikernel
domain="redis-headless.$NAMESPACE.svc.$CLUSTER_DOMAIN"
self="$HOSTNAME.$domain"
pods="redis-0 redis-1 redis-2"

# Send a command to the sentinel of pod $1.
sentinel() {
  pod=$1 && shift
  REDISCLI_AUTH="$SENTINEL_PASSWORD" timeout 2 redis-cli -h "$pod.$domain" -p 26379 SENTINEL "$@" 2>/dev/null
}

# Print one line "epoch host" for each sentinel that knows a master.
answers() {
  for pod in $pods; do
    sentinel "$pod" MASTER "$group" | awk '
      field == "ip" {host = $0}
      field == "config-epoch" {epoch = $0}
      {field = field == "" ? $0 : ""}
      END {if (host != "") print epoch, host}'
  done
}

# Sentinels may disagree after an outage: of the answers $1, the one of the newest epoch is right.
newest() {
  echo "$1" | sort -rn | awk 'NR == 1 {print $2}'
}
