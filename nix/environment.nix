# A virtual environment with locked wheels, all native code in them bound to this closure's libraries. It changes
# only with the lock, so a release that changes nothing but the application copies a few hundred kilobytes.
{
  stdenv,
  autoPatchelfHook,
  binutils-unwrapped,
  zlib,
  python313,
}:
{
  name,
  lock, # requirements with hashes
  wheelhouse, # the folder of their wheels
  only ? [ ], # packages to install; none named: all
  without ? [ ], # packages to leave out
  removed ? [ ], # files and folders to take out again, relative to site-packages
  stripped ? [ ], # native code to strip, likewise
  added ? null, # a folder whose files are put beside the packages
}:
stdenv.mkDerivation {
  inherit
    name
    lock
    only
    without
    removed
    stripped
    added
    ;
  nativeBuildInputs = [
    autoPatchelfHook
    binutils-unwrapped # strip
    python313.pkgs.pip
  ];
  buildInputs = [
    stdenv.cc.cc.lib
    zlib
  ];
  dontUnpack = true;
  dontStrip = true; # not all: stripping breaks some wheels' libraries

  installPhase = ''
    export HOME=$PWD PYTHONHASHSEED=0
    ${python313.interpreter} -B ${./select.py} $lock "$only" "$without" > selected.lock
    ${python313.interpreter} -m venv --without-pip $out
    rm -f $out/bin/activate* $out/bin/Activate.ps1 $out/.gitignore

    # pip checks every wheel against the lock once more
    pip --python $out/bin/python install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
      --no-index --no-deps --require-hashes --find-links ${wheelhouse} -r selected.lock || {
      echo >&2
      echo "${name} cannot be made from its wheelhouse; pip's reason is above." >&2
      echo "When the lock is newer than the hash in nix/hashes.json, renew it: make lock (or nix/hashes.sh)." >&2
      exit 1
    }

    cd $out/${python313.sitePackages}
    shopt -s extglob nullglob
    each() { # command, patterns: what a pattern finds; finding nothing, it is out of date, and says so
      local pattern found
      set -f
      for pattern in $2; do
        set +f
        found=($pattern)
        [ -e "''${found[0]-}" ] || { echo "nix/left-out.nix: $pattern is in no package" >&2; exit 1; }
        $1 "''${found[@]}"
      done
      set +f
    }
    each "rm -r" "$removed"
    each "strip --strip-unneeded" "$stripped"
    find . -name '*.pyi' ! -path './gradio/*' -exec rm {} + # gradio reads its own
    [ -z "$added" ] || cp -r $added/* .
    chmod -R u+w .
    cd - > /dev/null
  '';

  # Byte code that needs no look at time stamps (they are all 1 in the store) and is the same in each build:
  # -B and -f since Python may have written its own.
  postFixup = ''
    PYTHONHASHSEED=0 $out/bin/python -B -W ignore -m compileall -f -q -j $NIX_BUILD_CORES \
      --invalidation-mode unchecked-hash $out/${python313.sitePackages}
  '';
}
