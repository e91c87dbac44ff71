# A request for the host's key; it, the certificate and the authorities that are there go to standard output.
# sh -s -- make|look HOST [new]     `new` makes another key beside the one in use; install.sh puts it in its place.
set -eu
umask 077
folder=/etc/knowledge-assistant/tls
key=$folder/host.key

make_key() {
  mkdir -p "$folder"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.new" 2> /dev/null
  sync "$1.new"
  mv "$1.new" "$1"
  echo CHANGED >&2
}

if [ ! -s "$key" ]; then
  [ "$1" = make ] || { echo ====; echo ====; exit 0; }
  make_key "$key"
elif [ "${3:-}" = new ] && [ "$1" = make ]; then
  key=$key.next
  make_key "$key"
fi
openssl req -new -key "$key" -subj "/CN=$2"
for file in host.crt ca.crt; do
  echo ====
  if [ -s "$folder/$file" ]; then cat "$folder/$file"; fi
done
