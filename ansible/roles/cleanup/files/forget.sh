# The last thing that happens to an image: what must not be shared between hosts, and what only the bake needed.
# Environment: USERS (to remove), DAY (for /etc/shadow).
set -eu

# identity: systemd makes a machine-id, sshd's drop-in a host key, systemd-random-seed a seed at first boot
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/hostname /etc/hosts /etc/machine-info
systemctl stop systemd-random-seed 2> /dev/null || : # or it would save one more on the way down
rm -f /etc/ssh/ssh_host_* /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /boot/efi/loader/random-seed
rm -rf /var/lib/systemd/timesync /var/lib/systemd/network /var/lib/chrony/* /var/lib/dhcp /var/lib/dhcpcd
rm -rf /var/lib/cloud /run/cloud-init /var/lib/waagent /var/lib/google /etc/netplan/*
# a key that Debian makes for PostgreSQL; nobody here uses it
rm -f /etc/ssl/private/ssl-cert-snakeoil.key /etc/ssl/certs/ssl-cert-snakeoil.pem
find /etc/ssl/certs -xtype l -delete

# keys and traces of whoever baked
rm -rf /root/.ssh /root/.ansible /root/.cache /root/.nix-* /root/.local /root/.config /root/.bash_history
rm -rf /home/*/.ssh /home/*/.ansible /home/*/.bash_history /etc/sudoers.d/90-cloud-init-users

# what the bake needed
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache
rm -rf /var/lib/dpkg/*-old /var/backups/* /var/cache/man /usr/sbin/policy-rc.d
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid- /var/lib/systemd/timers/*
# Ansible's own are at work here, and go by themselves
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' ! -name 'ansible*' -exec rm -rf {} +

# passwords are locked all of them; the day they were locked is nobody's business
awk -F: -v OFS=: -v day="$DAY" '$3 != "" {$3 = day} 1' /etc/shadow > /etc/shadow.new
chown root:shadow /etc/shadow.new
chmod 640 /etc/shadow.new
mv /etc/shadow.new /etc/shadow

# when, and in which order, paths came into the store
python3 - <<'PYTHON'
import sqlite3

store = sqlite3.connect("file:/nix/var/nix/db/db.sqlite?mode=rw", uri=True, isolation_level=None)
order = store.execute("SELECT id FROM ValidPaths ORDER BY path").fetchall()
number = {old: rank for rank, (old,) in enumerate(order, 1)}
refs = sorted((number[a], number[b]) for a, b in store.execute("SELECT referrer, reference FROM Refs"))
store.execute("BEGIN")
store.execute("DELETE FROM Refs")
store.executemany("UPDATE ValidPaths SET id = -?, registrationTime = 1 WHERE id = ?", [(n, o) for o, n in number.items()])
store.execute("UPDATE ValidPaths SET id = -id")
store.executemany("INSERT INTO Refs (referrer, reference) VALUES (?, ?)", refs)
store.execute("COMMIT")
store.execute("VACUUM")
store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
PYTHON
nix-store --query --requisites "$(readlink -f /nix/var/nix/profiles/ka)" > /dev/null

# logs at the very end: the journal keeps on writing into memory only
journalctl --quiet --relinquish-var || :
find /var/log -type f -delete
rm -rf /var/log/journal/*

for user in $USERS; do
  if id "$user" > /dev/null 2>&1; then userdel --force --remove "$user" 2> /dev/null || :; fi
done
sync
