# `nix flake check`: each check is a build that fails with its reason.
{
  runCommand,
  application,
  environment,
  model,
  development,
  project,
}:
let
  inProject =
    name: script:
    runCommand name { nativeBuildInputs = [ development ]; } ''
      export HOME=$PWD PYTHONPATH=${project} PYTHONDONTWRITEBYTECODE=1
      cp -r ${project} source
      chmod -R u+w source
      cd source
      export PYTHONPATH=$PWD
      ${script}
      touch $out
    '';
in
{
  # builds it, and imports everything in the sandbox
  inherit application;

  unit = inProject "unit-tests" "python -m pytest -q -p no:cacheprovider tests/unit";

  lint = inProject "lint" ''
    ruff check --no-cache .
    ruff format --check --no-cache .
  '';

  closure = runCommand "closure" { exportReferencesGraph = [ "graph" application ]; } ''
    ${development}/bin/python -B ${./closure.py} graph ${./closure.json} \
      application=${application} environment=${environment} model=${model} > report || failed=1
    cat report
    [ -z "''${failed-}" ]
    cp report $out
  '';
}
