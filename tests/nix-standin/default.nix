# The few nixpkgs attributes that flake.nix and nix/ use, built from the Debian 13 files in ./root. See README.md.
{
  system ? "x86_64-linux",
  ...
}:
let
  seed = builtins.path {
    path = ./root;
    name = "debian-seed";
  };
  seedLib = "${seed}/usr/lib/x86_64-linux-gnu";

  # static, so they run before anything else is there
  tools = derivation {
    name = "standin-tools";
    inherit system;
    builder = "${seed}/usr/bin/busybox";
    args = [
      "sh"
      "-euc"
      ''
        bb=${seed}/usr/bin/busybox
        $bb mkdir -p $out/bin
        $bb cp $bb ${seed}/usr/bin/bash-static $out/bin/
        for a in $($bb --list); do [ $a = busybox ] || $bb ln -s busybox $out/bin/$a; done
        for a in bash sh; do $bb ln -sf bash-static $out/bin/$a; done
      ''
    ];
  };

  # `nix develop` wants a builder called bash, and sources $stdenv/setup
  bash = "${tools}/bin/bash";
  stdenvSetup = derivation {
    name = "standin-stdenv";
    inherit system;
    builder = bash;
    args = [
      "-euc"
      "${tools}/bin/mkdir $out; ${tools}/bin/sed 's|@tools@|${tools}|g' ${./setup.sh} > $out/setup"
    ];
  };

  mkDerivation =
    {
      pname ? "",
      version ? "",
      name ? "${pname}-${version}",
      meta ? { },
      ...
    }@attrs:
    derivation (
      removeAttrs attrs [ "meta" ]
      // {
        inherit name system;
        builder = bash;
        args = [
          "-ec"
          "source $stdenv/setup; genericBuild"
        ];
        stdenv = stdenvSetup;
      }
    )
    // {
      inherit meta;
    };

  runCommand =
    name: env: buildCommand:
    mkDerivation (env // { inherit name buildCommand; });

  mkShell =
    { packages, ... }@attrs:
    mkDerivation (
      removeAttrs attrs [ "packages" ]
      // {
        name = "nix-shell";
        outputs = [ "out" ]; # nix develop reads it
        nativeBuildInputs = packages;
        buildCommand = "echo for nix develop only > $out";
      }
    );

  # glibc, libstdc++, libz, libssl and the rest of what Python links to
  libs = runCommand "debian-libs" { nativeBuildInputs = [ patchelf ]; } ''
    mkdir -p $out/lib
    cp -P ${seedLib}/*.so* $out/lib/
    chmod -R u+w $out/lib
    # of the seed's other programs: strip, login, services
    rm $out/lib/lib{bfd,opcodes,ctf,sframe,jansson,systemd,sepol,semanage,pam,db-5}*
    # glibc itself finds its parts as it is, and the loader must not be touched
    glibc='ld-linux|lib(c|m|pthread|dl|rt|resolv|nss_.*|util|anl|mvec|nsl|BrokenLocale|c_malloc.*|memusage|pcprofile|thread_db)[.]so'
    for f in $out/lib/*.so*; do
      [ -L "$f" ] || echo "''${f##*/}" | grep -qE "^($glibc)" || patchelf --set-rpath $out/lib "$f"
    done
  '';

  # on the seed's own libraries: patchelf must not patch what it runs on
  patchelf = fromSeed "patchelf" "patchelf";
  binutils-unwrapped = fromSeed "strip" "x86_64-linux-gnu-strip";
  fromSeed =
    name: program:
    runCommand name { } ''
      mkdir -p $out/bin
      printf '#!${bash}\nexec ${seedLib}/ld-linux-x86-64.so.2 --library-path ${seedLib} ${seed}/usr/bin/${program} "$@"\n' > $out/bin/${name}
      chmod +x $out/bin/${name}
    '';

  autoPatchelfHook = runCommand "auto-patchelf-hook" { } ''
    mkdir -p $out/nix-support
    sed -e 's|@patchelf@|${patchelf}/bin/patchelf|g' -e 's|@loader@|${libs}/lib/ld-linux-x86-64.so.2|g' \
      ${./auto-patchelf.sh} > $out/nix-support/setup-hook
  '';

  python313 =
    runCommand "python3-3.13" { nativeBuildInputs = [ patchelf ]; } ''
      mkdir -p $out/bin $out/lib
      cp ${seed}/usr/bin/python3.13 $out/bin/
      cp -r ${seed}/usr/lib/python3.13 $out/lib/python3.13
      chmod -R u+w $out
      rm -f $out/lib/python3.13/sitecustomize.py
      # in two calls: patchelf 0.18 breaks Debian's non-PIE python in one
      patchelf --set-rpath ${libs}/lib $out/bin/python3.13
      patchelf --set-interpreter ${libs}/lib/ld-linux-x86-64.so.2 $out/bin/python3.13
      for f in $out/lib/python3.13/lib-dynload/*.so; do patchelf --set-rpath ${libs}/lib $f; done
      ln -s python3.13 $out/bin/python
      PYTHONHASHSEED=0 $out/bin/python -B -m compileall -f -q --invalidation-mode unchecked-hash $out/lib/python3.13
    ''
    // {
      sitePackages = "lib/python3.13/site-packages";
      interpreter = "${python313}/bin/python3.13";
      pkgs = { inherit pip; };
    };

  pip = runCommand "python3.13-pip" { } ''
    mkdir -p $out/bin $out/lib
    unzip -q ${seed}/usr/share/python-wheels/pip-*.whl -d $out/lib
    # Debian's pip opens the host's certificates when it starts, whatever PIP_CERT says
    sed -i 's|/etc/ssl/certs/ca-certificates.crt|${cacert}/etc/ssl/certs/ca-bundle.crt|' $out/lib/pip/_vendor/certifi/core.py
    cat > $out/bin/pip <<E
    #!${python313.interpreter} -B
    import sys
    sys.path.insert(0, "$out/lib")
    from pip._internal.cli.main import main
    sys.exit(main())
    E
    chmod +x $out/bin/pip
  '';

  cacert = runCommand "cacert" { } ''
    mkdir -p $out/etc/ssl/certs
    cp ${seed}/etc/ca-certificates.crt $out/etc/ssl/certs/ca-bundle.crt
  '';

  stdenv = {
    inherit mkDerivation;
    cc.cc.lib = libs;
  };

  # Programs of the ops shell and the formatter: there so that every output can be evaluated and built.
  placeholder =
    name:
    runCommand "${name}-placeholder" { } ''
      mkdir -p $out/bin
      printf '#!${bash}\necho "${name} is not in the stand-in for nixpkgs" >&2; exit 1\n' > $out/bin/${name}
      chmod +x $out/bin/${name}
    '';
in
{
  ansible = placeholder "ansible";
  packer = placeholder "packer";
  postgresql_17 = placeholder "psql";
  prometheus.cli = placeholder "promtool";
  restic = placeholder "restic";
  nixfmt-tree = placeholder "treefmt";

  inherit
    autoPatchelfHook
    binutils-unwrapped
    cacert
    mkShell
    python313
    runCommand
    stdenv
    ;
  stdenvNoCC = stdenv;
  zlib = libs;
  bashInteractive = tools; # nix develop looks for it
}
