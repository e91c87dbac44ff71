# Restart this member and wait until it answers: only then is it the next one's turn.
set -eu
systemctl restart etcd
for _ in $(seq 30); do
  if etcdctl endpoint health --command-timeout=2s > /dev/null 2>&1; then exit 0; fi
  sleep 1
done
echo "etcd does not answer after its restart; the other members were left alone. See: journalctl -u etcd" >&2
exit 1
