#!/bin/sh
# `make image-test`: bakes the image through the fast source, then looks at it and boots it, in containers and in QEMU.
# Usage: run.sh [--stand-in] [options of tools/image.sh build]
# KA_IMAGE_OUTPUT: folder of the image (build/image); PYTHON: interpreter with pytest (.venv/bin/python).
set -eu
cd "$(dirname "$0")/../.."
case ${1:-} in -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;; esac
output=$(realpath -m "${KA_IMAGE_OUTPUT:-build/image}")
tools/image.sh build --source null --refresh --output "$output" "$@"
tools/lab prepare
KA_LAB_IMAGE=$output/knowledge-assistant.raw "${PYTHON:-.venv/bin/python}" -m pytest -q tests/image
