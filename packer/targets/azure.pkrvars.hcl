# packer build -only=azure-arm.ka -var azure_resource_group=...; signs in as `az login` did
azure_location = "westeurope"
azure_vm_size  = "Standard_B2s"

become = true
