# A package source in FOLDER, run on a host of a lab: of two versions of a package it knows the second, which asks for
# a restart of the host. The first lies beside it.
set -eu
mkdir -p "$FOLDER"
cd "$FOLDER"
for version in 1 2; do
  mkdir -p "$version/DEBIAN"
  cat > "$version/DEBIAN/control" << END
Package: ka-patched
Version: $version
Architecture: all
Maintainer: nobody
Description: for a test
END
done
printf '#!/bin/sh\ntouch /run/reboot-required\n' > 2/DEBIAN/postinst
chmod 755 2/DEBIAN/postinst
for version in 1 2; do dpkg-deb --build "$version" "$version.deb" > /dev/null; done
{
  cat 2/DEBIAN/control
  echo "Filename: ./2.deb"
  echo "Size: $(stat -c %s 2.deb)"
  echo "SHA256: $(sha256sum 2.deb | cut -d ' ' -f 1)"
} > Packages
