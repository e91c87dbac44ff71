#!/bin/sh
# What is done on a host, as root; playbooks and people run it over SSH: ssh HOST sh -s -- VERB < host.sh
#
#   receive PATH FOLDER   take a release from a folder made by send.sh; every signature is checked
#   switch PATH           make it the current one and restart the service; goes back by itself when that fails
#   rollback              the same with the generation before
#   list                  generations; the current one is marked
#   current               the path of the current one
#   contents [PATH]       one hash over all that a release (the current one) consists of, and its path
#   collect [KEEP]        forget all but the last KEEP (5) generations and delete what nothing needs
#   verify                read the whole store and compare it with its hashes
#
# KA_RESTART is the command that restarts the service (default: systemctl, when the unit is active); it has to
# fail when the service does not come up.
set -eu
profile=/nix/var/nix/profiles/ka
unit=knowledge-assistant.service
nix() { command nix --extra-experimental-features nix-command "$@"; }
say() { echo "$*" >&2; }
current() { if [ -e "$profile" ]; then readlink -f "$profile"; fi; }

receive() {
  path=$1 folder=$2
  trap 'rm -rf "$folder"' EXIT
  nix copy --from "file://$folder" "$path" || {
    say "$path was not taken; the reason is above. What runs here is as it was."
    say "- 'lacks a signature by a trusted key': it was not signed, or the key is not in trusted-public-keys"
    say "- 'No space left on device': free some (collect), then send it again"
    exit 1
  }
}

restart() {
  if [ -n "${KA_RESTART:-}" ]; then
    sh -c "$KA_RESTART"
  elif command -v systemctl > /dev/null && systemctl is-active --quiet "$unit"; then
    systemctl restart "$unit"
  fi
}

switch() {
  new=$1 old=$(current)
  nix-store --check-validity "$new" 2> /dev/null || {
    say "$new is not in this host's store, or not whole: send it first. What runs here is as it was."
    exit 1
  }
  [ "$new" != "$old" ] || { say "$new is already the current one."; return; }
  # never as root: a store belongs to root, and some libraries write beside themselves
  setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs "$new/bin/ka" --version > /dev/null || {
    say "$new does not start on this host. What runs here is as it was."
    exit 1
  }
  before=$(generation)
  nix-env --profile "$profile" --set "$new"
  restart && { say "Current: $new"; return; }
  failed=$(generation)
  if [ -n "$before" ]; then
    go_back "$before" "$new did not come up; back to $old."
  else
    rm "$profile"
    say "$new did not come up, and there is no release before it."
  fi
  nix-env --profile "$profile" --delete-generations "$failed" 2> /dev/null
  exit 1
}

rollback() {
  here=$(generation)
  target=$(generations | awk '/current/ {print last} {last = $1}')
  [ -n "$target" ] || { say "There is no generation before the current one."; exit 1; }
  nix-env --profile "$profile" --switch-generation "$target" 2> /dev/null
  restart && { say "Current: $(current)"; return; }
  go_back "$here" "Generation $target did not come up; back to generation $here."
  exit 1
}

generations() { nix-env --profile "$profile" --list-generations; }
generation() { generations | awk '/current/ {print $1}'; }
go_back() { # number, what to say
  nix-env --profile "$profile" --switch-generation "$1" 2> /dev/null
  restart || say "What ran before does not start either."
  say "$2"
}

# each part counts with the hash that it had when it was let in
contents() {
  path=${1:-$(current)}
  parts=$(nix-store --query --requisites "$path" | LC_ALL=C sort)
  # shellcheck disable=SC2086
  { echo "$parts"; nix-store --query --hash $parts; } | sha256sum | sed "s|-\$|$path|"
}

collect() {
  nix-env --profile "$profile" --delete-generations "+${1:-5}" 2> /dev/null
  nix-store --gc 2>&1 | tail -n 1
}

verb=${1:-}
[ $# -eq 0 ] || shift
case $verb in
  receive | switch | rollback | current | contents | collect) "$verb" "$@" ;;
  list) generations ;;
  verify) nix-store --verify --check-contents ;;
  *) say "usage: host.sh receive|switch|rollback|list|current|contents|collect|verify"; exit 2 ;;
esac < /dev/null # the script itself comes by standard input
