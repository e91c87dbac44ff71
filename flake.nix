{
  description = "Private knowledge assistant";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      ours = import ./nix {
        inherit pkgs;
        root = ./.;
        commit = self.rev or "uncommitted";
      };
    in
    {
      packages.${system} = {
        default = ours.application;
        inherit (ours)
          application
          environment
          model
          modelEnvironment
          serve
          toolsEnvironment
          toolsWheelhouse
          wheelhouse
          ;
      };

      apps.${system} = rec {
        default = serve;
        serve = {
          type = "app";
          program = "${ours.serve}/bin/serve";
        };
        ka = {
          type = "app";
          program = "${ours.application}/bin/ka";
        };
      };

      devShells.${system} = {
        default = ours.developmentShell;
        # Packer's licence is not a free one, so this shell alone asks for a nixpkgs that allows it.
        ops = import ./nix/ops-shell.nix {
          pkgs = import nixpkgs {
            inherit system;
            config.allowUnfreePredicate = package: (package.pname or "") == "packer";
          };
        };
      };

      checks.${system} = ours.checks;

      formatter.${system} = pkgs.nixfmt-tree;
    };
}
