"""The lab: a fleet of real systemd hosts on one machine, all from one image. Standard library only."""
