# packer build -only=null.ka: the address that tools/image.sh gives to the host in its namespace
host = "10.0.2.15"
