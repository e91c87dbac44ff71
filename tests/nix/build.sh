# Building with the stand-in; sourced by run.sh. Each function ends the run when what it says does not hold.

export NIX_CONF_DIR=$work/conf HOME=$work/home
export GIT_CONFIG_GLOBAL=$work/gitconfig GIT_CONFIG_SYSTEM=/dev/null
standin="--override-input nixpkgs path:$work/seed --no-write-lock-file"

in_store() { # which, command...
  local store=$1
  shift
  NIX_REMOTE=$work/$store "$@"
}

# a command that sees the store where it belongs, and cannot write into it
with_store() {
  mkdir -p /nix
  unshare --mount --propagation private sh -c \
    'mount --bind "$0" /nix && mount -o remount,bind,ro /nix && exec "$@"' "$work/store/nix" "$@"
}

# the files of this tree as a git repository of its own, so that a release has a commit
make_source() { # name, release
  local folder=$work/$1
  rm -rf "$folder"
  mkdir -p "$folder"
  tar -C "$root" -c --exclude='./.*' --exclude=./build --exclude=./data --exclude=__pycache__ . | tar -x -C "$folder"
  sed -i "s/^version = .*/version = \"$2\"/" "$folder/pyproject.toml"
  sed -i "s/^__version__ = .*/__version__ = \"$2\"/" "$folder/app/__init__.py"
}

# Nix hides the commit from a flake whose inputs are overridden, so here the stand-in is what the flake names.
commit_source() { # name
  sed -i "s|github:NixOS/nixpkgs/[^\"]*|path:$work/seed|" "$work/$1/flake.nix"
  rm "$work/$1/flake.lock"
  in_store store nix flake lock "path:$work/$1" 2> "$work/log" < /dev/null
  git -C "$work/$1" init -q -b main
  git -C "$work/$1" add -A
  git -C "$work/$1" -c user.name=test -c user.email=test@localhost commit -q -m release \
    --date "2026-01-01T00:00:00Z"
}

build() { # store, source, attribute; prints the path
  in_store "$1" nix build --no-link "git+file://$work/$2#$3" 2> "$work/log" ||
    { cat "$work/log" >&2; return 1; }
  in_store "$1" nix path-info "git+file://$work/$2#$3" 2> /dev/null
}

path_build() { # source, attribute: from files, without git; its output is what is asked for
  in_store store nix build --no-link $standin "path:$work/$1#$2" 2>&1
}

# Two builds in two stores that share nothing.
same_in_two_stores() {
  local what first second
  for what in wheelhouse environment model application; do
    first=$(in_store store nix path-info --json "git+file://$work/one#$what" 2> /dev/null)
    second=$(in_store again nix path-info --json "git+file://$work/one#$what" 2> /dev/null)
    first=$(echo "$first" | grep -o '"narHash":"[^"]*"')
    second=$(echo "$second" | grep -o '"narHash":"[^"]*"')
    [ -n "$first" ] && [ "$first" = "$second" ] || fail "$what differs: $first $second"
    echo "    $what ${first#*:}"
  done
}

expect() { # text, output: the text is in the output
  case $2 in *"$1"*) ;; *) echo "$2" >&2; fail "the message lacks: $1" ;; esac
}

# A lock of one package in a copy of the source; the wheels are asked for anew.
one_package() { # line of the lock
  make_source bad 0.1.0
  printf '%s\n' "$1" > "$work/bad/requirements.lock"
  local lock
  lock=$(sha256sum "$work/bad/requirements.lock" | cut -d " " -f 1)
  sed -i "2,5{s/\"lock\": \".*\"/\"lock\": \"$lock\"/;s/\"wheelhouse\": \".*\"/\"wheelhouse\": \"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"/}" \
    "$work/bad/nix/hashes.json"
}

bad_locks() {
  local out six zeros=0000000000000000000000000000000000000000000000000000000000000000
  six=$(grep -A 3 '^six==' "$root/requirements.lock" | tr -d '\\\n' | grep -oE '^six==[^ ]+( +--hash=sha256:[0-9a-f]+)+')
  echo "  a wheel whose hash differs"
  one_package "${six%% *} --hash=sha256:$zeros"
  out=$(path_build bad wheelhouse) && fail "a wheel with another hash was taken"
  expect "DO NOT MATCH THE HASHES" "$out"
  echo "  a lock without a wheel for this platform"
  one_package "pywin32==311 --hash=sha256:$zeros"
  out=$(path_build bad wheelhouse) && fail "a package for another platform was found"
  expect "without a wheel for this platform" "$out"
  echo "  no network"
  one_package "$six"
  out=$(PIP_INDEX_URL=http://127.0.0.1:9/simple PIP_CONFIG_FILE=/dev/null path_build bad wheelhouse) && fail "wheels came from nowhere"
  expect "no way to the package index" "$out"
  echo "  a lock newer than the hash of its wheels"
  make_source bad 0.1.0
  echo "# newer" >> "$work/bad/requirements.lock"
  out=$(path_build bad wheelhouse) && fail "the old wheels were taken for a new lock"
  expect "requirements.lock is newer than nix/hashes.json" "$out"
  rm -rf "$work/bad"
}
