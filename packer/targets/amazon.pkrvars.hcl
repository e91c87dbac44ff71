# packer build -only=amazon-ebs.ka
aws_region        = "eu-central-1"
aws_instance_type = "t3.small"

become = true
