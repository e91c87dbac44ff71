# packer build -only=googlecompute.ka -var google_project=...
google_zone         = "europe-west3-a"
google_machine_type = "e2-small"

become = true
