# A member whose data disk was lost is unknown to nobody but itself: the others forget it and take it in anew.
# sh -s -- make|look NAME ADDRESS FOLDER OTHER...     (addresses; ETCDCTL_* say how to ask them)
# Prints what was, or would be, changed.
set -eu
mode=$1 name=$2 address=$3 folder=$4
shift 4
[ ! -d "$folder/member" ] || exit 0
[ $# -gt 0 ] || exit 0
ETCDCTL_ENDPOINTS=$(printf 'https://%s:2379,' "$@")
export ETCDCTL_ENDPOINTS=${ETCDCTL_ENDPOINTS%,}
# nobody answers: the cluster is new, or so broken that nobody should be thrown out of it
list=$(etcdctl --dial-timeout=2s --command-timeout=5s member list 2> /dev/null) || exit 0
id=$(echo "$list" | awk -F', ' -v name="$name" -v url="https://$address:2380" '$3 == name || $4 == url {print $1}')
started=$(echo "$list" | awk -F', ' -v id="$id" '$1 == id {print $2}')
[ "$started" != unstarted ] || exit 0
echo "$name joins anew"
[ "$mode" = make ] || exit 0
if [ -n "$id" ]; then etcdctl --command-timeout=10s member remove "$id" > /dev/null; fi
etcdctl --command-timeout=10s member add "$name" --peer-urls="https://$address:2380" > /dev/null
mkdir -p /run/knowledge-assistant
echo ETCD_INITIAL_CLUSTER_STATE=existing > /run/knowledge-assistant/etcd-join
