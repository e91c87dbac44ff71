# Finding an interpreter; sourced by setup.sh and ops.sh.

suitable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
  for name in ${PYTHON_FOR_VENV:-} python3 python3.13 python3.12 python3.11; do
    if suitable "$name"; then echo "$name"; return; fi
  done
  echo "Python 3.11, 3.12 or 3.13 is needed and none was found: install one (Debian: apt install python3)." >&2
  exit 1
}

# Debian's python3 comes without the part that makes virtual environments.
ensure_venv() {
  "$1" -c 'import ensurepip, venv' 2>/dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing python3-venv"
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-venv; } >/dev/null && return
  fi
  echo "Python's venv module is missing. Install it (Debian: sudo apt install python3-venv), then run this again." >&2
  exit 1
}

# A virtual environment of a suitable interpreter: make_venv VENV
make_venv() {
  if suitable "$1/bin/python"; then return; fi
  python=$(find_python)
  ensure_venv "$python"
  echo "Making $1 with $("$python" --version)"
  "$python" -m venv --clear "$1"
}
