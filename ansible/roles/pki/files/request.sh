# The host's key and a request for it; the request and the certificate that is there go to standard output.
# sh -s -- make|look HOST
set -eu
umask 077
folder=/etc/knowledge-assistant/tls
if [ ! -s "$folder/host.key" ]; then
  [ "$1" = make ] || { echo ====; exit 0; }
  mkdir -p "$folder"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$folder/host.key.new" 2> /dev/null
  sync "$folder/host.key.new"
  mv "$folder/host.key.new" "$folder/host.key"
  echo CHANGED >&2
fi
openssl req -new -key "$folder/host.key" -subj "/CN=$2"
echo ====
if [ -s "$folder/host.crt" ]; then cat "$folder/host.crt"; fi
