# One image for every target: each source starts from a Debian 13 disk, and ansible/playbooks/image.yml does the rest.
# Targets and their settings: packer/targets/. Local ones are started by tools/image.sh, which makes the base disk.
# Packer 1.6.6 (Debian 12) reads this folder as it is; newer ones need packer/plugins/ beside it (docs/how-to/image.md).

variable "image_name" {
  type    = string
  default = "knowledge-assistant"
}
variable "ansible_playbook" { # the command
  type    = string
  default = "ansible-playbook"
}
variable "ansible_arguments" { # which release, and for local builds where packages come from
  type    = list(string)
  default = []
}
variable "become" { # clouds log in as an ordinary user
  type    = bool
  default = false
}
variable "ssh_private_key_file" { # local sources: made for this build alone
  type    = string
  default = ""
}

# qemu: tools/image.sh says what it found out
variable "base_disk" {
  type    = string
  default = "build/image/base.raw"
}
variable "output_directory" {
  type    = string
  default = "build/image/packer"
}
variable "accelerator" {
  type    = string
  default = "tcg"
}
variable "cpus" {
  type    = number
  default = 2
}
variable "memory_mb" {
  type    = number
  default = 2048
}
variable "qemu_arguments" {
  type    = list(list(string))
  default = []
}
variable "ssh_timeout" {
  type    = string
  default = "10m"
}

# null: a systemd-nspawn host that tools/image.sh has booted from the same base disk
variable "host" {
  type    = string
  default = "10.0.2.15"
}

# clouds
variable "aws_region" {
  type    = string
  default = "eu-central-1"
}
variable "aws_instance_type" {
  type    = string
  default = "t3.small"
}
variable "google_project" {
  type    = string
  default = "unset"
}
variable "google_zone" {
  type    = string
  default = "europe-west3-a"
}
variable "google_machine_type" {
  type    = string
  default = "e2-small"
}
variable "azure_resource_group" {
  type    = string
  default = "unset"
}
variable "azure_location" {
  type    = string
  default = "westeurope"
}
variable "azure_vm_size" {
  type    = string
  default = "Standard_B2s"
}

locals {
  version = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "qemu" "ka" {
  disk_image           = true
  iso_url              = var.base_disk
  iso_checksum         = "none"
  output_directory     = var.output_directory
  vm_name              = "${var.image_name}.raw"
  format               = "raw"
  skip_resize_disk     = true
  accelerator          = var.accelerator
  cpus                 = var.cpus
  memory               = var.memory_mb
  headless             = true
  net_device           = "virtio-net"
  disk_interface       = "virtio"
  disk_cache           = "unsafe" # a build that does not end is thrown away
  disk_discard         = "unmap"
  disk_detect_zeroes   = "unmap"
  qemuargs             = var.qemu_arguments
  boot_wait            = "1s"
  ssh_username         = "root"
  ssh_private_key_file = var.ssh_private_key_file
  ssh_timeout          = var.ssh_timeout
  shutdown_command     = "systemctl poweroff"
}

source "null" "ka" {
  ssh_host             = var.host
  ssh_username         = "root"
  ssh_private_key_file = var.ssh_private_key_file
  ssh_timeout          = "2m"
}

source "amazon-ebs" "ka" {
  region        = var.aws_region
  instance_type = var.aws_instance_type
  ami_name      = "${var.image_name}-${local.version}"
  ssh_username  = "admin"
  ebs_optimized = true
  source_ami_filter {
    # Debian's own account
    owners      = ["136693071363"]
    most_recent = true
    filters = {
      name                = "debian-13-amd64-*"
      architecture        = "x86_64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }
}

source "googlecompute" "ka" {
  project_id              = var.google_project
  zone                    = var.google_zone
  machine_type            = var.google_machine_type
  source_image_family     = "debian-13"
  source_image_project_id = ["debian-cloud"]
  image_name              = "${var.image_name}-${local.version}"
  image_family            = var.image_name
  ssh_username            = "packer"
}

source "azure-arm" "ka" {
  use_azure_cli_auth                = true
  managed_image_name                = "${var.image_name}-${local.version}"
  managed_image_resource_group_name = var.azure_resource_group
  location                          = var.azure_location
  vm_size                           = var.azure_vm_size
  os_type                           = "Linux"
  image_publisher                   = "Debian"
  image_offer                       = "debian-13"
  image_sku                         = "13-gen2"
  ssh_username                      = "packer"
}

build {
  sources = [
    "source.qemu.ka",
    "source.null.ka",
    "source.amazon-ebs.ka",
    "source.googlecompute.ka",
    "source.azure-arm.ka",
  ]

  provisioner "ansible" {
    command          = var.ansible_playbook
    playbook_file    = "ansible/playbooks/image.yml"
    use_proxy        = false
    extra_arguments  = concat(var.become ? ["--become"] : [], var.ansible_arguments)
    ansible_env_vars = ["ANSIBLE_CONFIG=ansible/ansible.cfg", "ANSIBLE_HOST_KEY_CHECKING=False"]
  }

  # The build's own key, which no later boot would replace; open connections stay. What services would save once
  # more when the machine goes down. And blocks that are free take no space in the file.
  provisioner "shell" {
    only = ["qemu.ka", "null.ka"]
    inline = [
      "rm -rf /root/.ssh",
      "systemctl stop systemd-random-seed.service chrony.service",
      "rm -rf /var/lib/systemd/random-seed /var/lib/chrony/chrony.drift /var/log/chrony",
      "fstrim / || :",
    ]
  }

  # Azure's agent wants to be told, last of all, that this machine becomes an image.
  provisioner "shell" {
    only            = ["azure-arm.ka"]
    execute_command = "sudo -n sh '{{ .Path }}'"
    inline          = ["! command -v waagent || waagent -force -deprovision"]
    inline_shebang  = "/bin/sh -e"
  }
}
