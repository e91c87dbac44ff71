# All derivations, from a nixpkgs (or the stand-in in tests/nix-standin) and this folder's sources.
{
  pkgs,
  root,
  commit,
}:
let
  project = (builtins.fromTOML (builtins.readFile (root + "/pyproject.toml"))).project;
  recorded = builtins.fromJSON (builtins.readFile ./hashes.json);
  wheelsOf =
    file:
    if recorded.${file}.lock == builtins.hashFile "sha256" (root + "/${file}") then
      recorded.${file}.wheelhouse
    else
      throw "${file} is newer than nix/hashes.json, which holds the hash of its wheels: run `make lock` (or nix/hashes.sh)";
  leftOut = import ./left-out.nix;

  lock = root + "/requirements.lock";
  toolsLock = root + "/requirements-dev.lock";

  # Only what matches, so that a change elsewhere changes nothing.
  sources =
    name: patterns:
    builtins.path {
      path = root;
      inherit name;
      filter =
        path: _:
        builtins.match ".*/__pycache__" path == null
        && builtins.any (pattern: builtins.match "${toString root}/(${pattern})" path != null) patterns;
    };

  mkWheelhouse = import ./wheelhouse.nix { inherit (pkgs) stdenvNoCC cacert python313; };
  mkEnvironment = import ./environment.nix {
    inherit (pkgs)
      stdenv
      autoPatchelfHook
      binutils-unwrapped
      zlib
      python313
      ;
  };

  # Tools have a lock of their own on top of the first: a newer linter must not change what is deployed.
  wheelhouse = mkWheelhouse {
    name = "wheelhouse";
    inherit lock;
    hash = wheelsOf "requirements.lock";
  };
  toolsWheelhouse = mkWheelhouse {
    name = "tools-wheelhouse";
    lock = toolsLock;
    hash = wheelsOf "requirements-dev.lock";
  };

  environment = mkEnvironment {
    name = "${project.name}-environment";
    inherit lock wheelhouse;
    without = builtins.attrNames leftOut.packages;
    removed = builtins.attrNames leftOut.files;
    inherit (leftOut) stripped;
    # also a link that leads nowhere, where gradio would write into its own folder: now it keeps that in memory
    added = ./placeholders;
  };
  modelEnvironment = mkEnvironment {
    name = "${project.name}-model-environment";
    inherit lock wheelhouse;
    only = leftOut.forTheModel;
  };
  toolsEnvironment = mkEnvironment {
    name = "${project.name}-tools-environment";
    lock = toolsLock;
    wheelhouse = toolsWheelhouse;
  };

  model = import ./model.nix {
    inherit (pkgs) runCommand;
    inherit modelEnvironment;
    src = sources "model-source" [
      "app"
      "app/errors[.]py"
      "app/embedding"
      "app/embedding/(__init__|base|build|graph|manifest|weights)[.]py"
    ];
  };

  application = import ./application.nix {
    inherit (pkgs) stdenv python313;
    inherit environment model commit;
    inherit (project) version;
    pname = project.name;
    leftOut = builtins.attrNames leftOut.packages;
    src = sources "source" [ "app(/.*)?" ];
  };

  # `make run`, word for word.
  serve = pkgs.runCommand "serve" { } ''
    mkdir -p $out/bin
    cat > $out/bin/serve <<'END'
    #!/bin/sh
    exec ${application}/bin/ka serve --data "''${DATA:-data}" --port "''${PORT:-8080}" "$@"
    END
    chmod +x $out/bin/serve
  '';

  # What is deployed, and the tools and the model's builder beside it.
  development = import ./development.nix {
    inherit (pkgs) runCommand python313;
    inherit model;
    environments = [
      environment
      modelEnvironment
      toolsEnvironment
    ];
  };
in
{
  inherit
    application
    environment
    model
    modelEnvironment
    serve
    toolsEnvironment
    toolsWheelhouse
    wheelhouse
    ;

  developmentShell = pkgs.mkShell {
    packages = [ development ];
    shellHook = "export PYTHONPATH=$PWD";
  };

  checks = import ./checks.nix {
    inherit (pkgs) runCommand;
    inherit
      application
      development
      environment
      model
      ;
    project = root;
  };
}
