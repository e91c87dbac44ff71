# The application: its own code in a small virtual environment on top of the one with the locked packages.
{
  stdenv,
  python313,
  environment,
  model,
  src,
  pname,
  version,
  commit,
  leftOut,
}:
stdenv.mkDerivation {
  inherit pname version src;
  nativeBuildInputs = [ python313.pkgs.pip ];
  dontStrip = true;
  dontConfigure = true;
  dontBuild = true;

  # `ka` is a Python program: a store path can be started by name from anywhere, and no shell is in the closure.
  # -I: nothing of the caller's Python settings or folder gets in; programs it starts inherit the same.
  installPhase = ''
    export HOME=$PWD PYTHONHASHSEED=0
    ${python313.interpreter} -m venv --without-pip $out
    rm -f $out/bin/activate* $out/bin/Activate.ps1 $out/.gitignore
    site=$out/${python313.sitePackages}
    cp -r app $site/
    echo "import site; site.addsitedir('${environment}/${python313.sitePackages}')" > $site/locked-packages.pth
    mkdir -p $out/share/knowledge-assistant
    ln -s ${model} $out/share/knowledge-assistant/model
    ln -s ${environment}/bin/rclone $out/bin/rclone # serves S3 on hosts that keep objects
    cat > $out/bin/ka <<END
    #!$out/bin/python -I
    import os
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"):
        os.environ.pop(name, None)
    os.environ.update(
        KA_CLOSURE="$out", KA_COMMIT="${commit}", PYTHONNOUSERSITE="1", PYTHONDONTWRITEBYTECODE="1"
    )
    from app.cli import main
    main()
    END
    chmod +x $out/bin/ka
    $out/bin/python -B -W ignore -m compileall -f -q --invalidation-mode unchecked-hash $site
  '';

  # The sandbox has no library but the closure's, so what imports here imports everywhere. Not earlier: some
  # packages write beside themselves when imported, and theirs is a finished, read-only path by now.
  doInstallCheck = true;
  installCheckPhase = ''
    export HOME=$PWD
    $out/bin/python -I -B ${./imports.py}
    [ "$($out/bin/ka --version)" = "ka ${version} $out ${commit}" ] || {
      $out/bin/ka --version
      echo "ka --version does not name release ${version}, this path and the commit" >&2
      exit 1
    }
    # whatever pip misses must be a package that is left out on purpose
    pip --python $out/bin/python check > missing || grep -vE 'requires (${builtins.concatStringsSep "|" leftOut}), ' missing && exit 1 || true
  '';

  meta = {
    description = "Private, self-hosted answers from your own documents";
    mainProgram = "ka";
    platforms = [ "x86_64-linux" ];
  };
}
