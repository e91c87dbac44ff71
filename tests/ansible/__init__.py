"""Playbooks, without any host: what Ansible itself says."""
