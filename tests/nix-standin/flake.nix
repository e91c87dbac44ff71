{
  description = "Stand-in for nixpkgs on machines that reach neither GitHub nor cache.nixos.org";
  outputs =
    { self }:
    {
      legacyPackages.x86_64-linux = import ./default.nix { };
    };
}
