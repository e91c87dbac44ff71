# REPOSITORY, a folder or in a bucket. Standard input: the passphrase, and for a bucket its two keys, a line each.
# Prints the newest escrow as base64.
set -euo pipefail
fail() { echo "$*" >&2; exit 1; }
read -r passphrase || :
read -r AWS_ACCESS_KEY_ID || :
read -r AWS_SECRET_ACCESS_KEY || :
as=()
if [[ $1 == /* ]]; then
  [ -f "$1/config" ] || fail "There is no escrow in $1: attach the backup host's old disk. Where there never was one, make a new fleet."
  as=(runuser -u restic-rest-server --)
else
  export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
fi
code=0
content=$("${as[@]}" restic -r "$1" --no-cache --no-lock --quiet dump latest /escrow.tar <<< "$passphrase" 2> /dev/null |
  base64 -w 0) || code=$?
case $code in
  0) printf %s "$content" ;;
  10) fail "There is no escrow in $1. Where there never was one, make a new fleet." ;;
  12) fail "The passphrase does not open the escrow." ;;
  *) fail "The escrow in $1 cannot be read (restic ended with $code): see whether it is reached, and whole." ;;
esac
