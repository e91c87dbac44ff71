# The wheels that a lock names, as one fixed-output derivation: one hash stands for all downloads, as vendorHash
# does in buildGoModule. pip takes them from its own default index (or PIP_INDEX_URL) and checks each against
# the lock.
{
  stdenvNoCC,
  cacert,
  python313,
}:
{
  name,
  lock,
  hash,
}:
stdenvNoCC.mkDerivation {
  inherit name lock;
  nativeBuildInputs = [ python313.pkgs.pip ];
  buildCommand = ''
    export HOME=$PWD PIP_CERT=${cacert}/etc/ssl/certs/ca-bundle.crt
    pip download --quiet --disable-pip-version-check --no-cache-dir \
      --require-hashes --no-deps --only-binary :all: -r $lock -d $out || {
      echo >&2
      echo "The wheels of ${name} could not be gathered; pip's reason is above. Usual ones:" >&2
      echo "- no way to the package index: check the network, the proxy variables or PIP_INDEX_URL" >&2
      echo "- 'No matching distribution': the lock names a package without a wheel for this platform" >&2
      echo "- 'DO NOT MATCH THE HASHES': a file is not the one that was locked; do not use it" >&2
      exit 1
    }
  '';

  outputHashMode = "recursive";
  outputHash = hash;
  # what may differ from machine to machine: the way to the index, not the result
  impureEnvVars = [
    "http_proxy"
    "https_proxy"
    "no_proxy"
    "HTTP_PROXY"
    "HTTPS_PROXY"
    "NO_PROXY"
    "PIP_INDEX_URL"
    "PIP_TRUSTED_HOST"
  ];
}
