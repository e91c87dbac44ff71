# sh -s -- add|take FILE HOST...: hosts that may read all repositories, a line each; the gate takes it in by a reload.
# Prints what was changed.
set -eu
mode=$1 file=$2
shift 2
[ -e "$file" ] || { echo "$file is not there: run site.yml --tags repository." >&2; exit 1; }
new=$file.new
cp -p "$file" "$new"
for host in "$@"; do
  grep -vxF "$host" "$new" > "$new.rest" || :
  cat "$new.rest" > "$new"
  [ "$mode" = take ] || echo "$host" >> "$new"
done
rm -f "$new.rest"
if [ "$(sort "$file")" = "$(sort "$new")" ]; then
  rm -f "$new"
  exit 0
fi
sync "$new"
mv "$new" "$file"
systemctl reload repository-gate.service
echo "$mode $*"
