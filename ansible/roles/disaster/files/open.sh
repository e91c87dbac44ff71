# REPOSITORY; the passphrase comes through standard input. Prints the newest escrow as base64.
set -euo pipefail
if [ ! -f "$1/config" ]; then
  echo "There is no escrow in $1: attach the backup host's old disk. Where there never was one, make a new fleet." >&2
  exit 1
fi
read -r passphrase || :
open() {
  runuser -u restic-rest-server -- restic -r "$1" --no-cache --no-lock --quiet dump latest /escrow.tar <<< "$passphrase"
}
code=0
content=$(open "$1" 2> >(tail -n 1 >&2) | base64 -w 0) || code=$?
case $code in
  0) printf %s "$content" ;;
  12) echo "The passphrase does not open the escrow." >&2; exit 1 ;;
  *) echo "The escrow in $1 cannot be read (restic ended with $code)." >&2; exit 1 ;;
esac
