#!/bin/sh
# Makes a package called "seacat-probe" for each package manager, and a repository around it, as files
# that any web server can serve.
# Usage: package_sites.sh FOLDER URL (where the folder's files will be served).
set -eu
cd "$1"
url=$2
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# apt: a pool and its list.
mkdir -p apt "$work/deb/DEBIAN" "$work/deb/usr/share/seacat-probe"
cat > "$work/deb/DEBIAN/control" <<END
Package: seacat-probe
Version: 1.0
Architecture: all
Maintainer: The suite <suite@example.com>
Description: proves that a package arrives
END
echo "a Debian package" > "$work/deb/usr/share/seacat-probe/text"
dpkg-deb --build --root-owner-group "$work/deb" apt/seacat-probe_1.0_all.deb > "$work/log"
(cd apt && dpkg-scanpackages . 2> "$work/log" | gzip > Packages.gz)

# pip: a wheel and the page that links to it.
mkdir -p pypi/seacat-probe "$work/wheel/seacat_probe-1.0.dist-info"
cat > "$work/wheel/seacat_probe-1.0.dist-info/METADATA" <<END
Metadata-Version: 2.1
Name: seacat-probe
Version: 1.0
END
cat > "$work/wheel/seacat_probe-1.0.dist-info/WHEEL" <<END
Wheel-Version: 1.0
Root-Is-Purelib: true
Tag: py3-none-any
END
echo 'TEXT = "a wheel"' > "$work/wheel/seacat_probe.py"
cat > "$work/wheel/seacat_probe-1.0.dist-info/RECORD" <<END
seacat_probe.py,,
seacat_probe-1.0.dist-info/METADATA,,
seacat_probe-1.0.dist-info/WHEEL,,
seacat_probe-1.0.dist-info/RECORD,,
END
wheel=seacat_probe-1.0-py3-none-any.whl
(cd "$work/wheel" && /usr/bin/python3 -m zipfile -c "$wheel" seacat_probe.py seacat_probe-1.0.dist-info)
mv "$work/wheel/$wheel" pypi/seacat-probe/
echo "<a href=\"$wheel\">$wheel</a>" > pypi/seacat-probe/index.html

# npm: a tarball and the document that names it.
mkdir -p npm "$work/npm/package"
echo '{"name": "seacat-probe", "version": "1.0.0"}' > "$work/npm/package/package.json"
echo 'module.exports = "an npm package"' > "$work/npm/package/index.js"
tar -C "$work/npm" -czf npm/seacat-probe-1.0.0.tgz package
cat > npm/seacat-probe <<END
{"name": "seacat-probe", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {
    "name": "seacat-probe", "version": "1.0.0",
    "dist": {"tarball": "$url/npm/seacat-probe-1.0.0.tgz"}}}}
END

# Maven: a parent, and a list of versions that a project imports.
for name in seacat-parent seacat-versions; do
    folder=maven/com/example/$name/1
    mkdir -p "$folder"
    cat > "$folder/$name-1.pom" <<END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.example</groupId><artifactId>$name</artifactId><version>1</version>
  <packaging>pom</packaging>
</project>
END
    sha1sum "$folder/$name-1.pom" | cut -d ' ' -f 1 > "$folder/$name-1.pom.sha1"
done
