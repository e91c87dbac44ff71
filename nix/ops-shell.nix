# What operating a fleet takes: playbooks, images, databases, backups, checks of alert rules.
{ pkgs }:
pkgs.mkShell {
  packages = [
    pkgs.ansible
    pkgs.packer
    pkgs.postgresql_17
    pkgs.prometheus.cli # promtool
    pkgs.restic
  ];
}
