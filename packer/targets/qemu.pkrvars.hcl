# packer build -only=qemu.ka: tools/image.sh adds base disk, key and accelerator
cpus      = 2
memory_mb = 2048
