# The last thing that happens to an image: what must not be shared between hosts, and what only the bake needed.
# Environment: USERS (to remove), DAY (for /etc/shadow).
set -eu

# identity: systemd makes a machine-id, sshd's drop-in a host key, systemd-random-seed a seed at first boot
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/hostname /etc/hosts /etc/machine-info
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
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' -exec rm -rf {} +

# passwords are locked all of them; the day they were locked is nobody's business
awk -F: -v OFS=: -v day="$DAY" '$3 != "" {$3 = day} 1' /etc/shadow > /etc/shadow.new
chown root:shadow /etc/shadow.new
chmod 640 /etc/shadow.new
mv /etc/shadow.new /etc/shadow

# logs at the very end: the journal keeps on writing into memory only
journalctl --quiet --relinquish-var || :
find /var/log -type f -delete
rm -rf /var/log/journal/*

for user in $USERS; do
  if id "$user" > /dev/null 2>&1; then userdel --force --remove "$user" 2> /dev/null || :; fi
done
sync
