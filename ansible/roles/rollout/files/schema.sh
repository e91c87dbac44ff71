# sh -s -- migrate|check NEW OLD...: bring the schema to what the release NEW needs, if the releases OLD can work on
# with that; or see that NEW can work with the schema as it is. Prints the steps that were made.
set -eu
verb=$1 new=$2
shift 2
ka() {
  release=$1
  shift
  setpriv --reuid=knowledge-assistant --regid=knowledge-assistant --clear-groups --no-new-privs \
    env -C / HOME=/nonexistent "$release/bin/ka" migrate "$@" < /dev/null
}
if [ "$verb" = check ]; then
  ka "$new" --check > /dev/null
  exit
fi
set -- "$@" --
while [ "$1" != -- ]; do
  # a release that cannot say what it knows can work with nothing new
  steps=$(ka "$1" --known 2> /dev/null) || steps=
  shift
  set -- "$@" --beside "$steps"
done
shift
made=$(ka "$new" "$@")
[ "$made" = "The schema is up to date." ] || echo "$made"
