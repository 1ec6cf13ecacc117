#!/bin/sh
# Makes the application bundle and the disk image. Runs on macOS, with Xcode's command line tools:
#
#   installers/macos/package.sh VERSION "Developer ID Application: …" KEYCHAIN-PROFILE
#
# The profile is one that `xcrun notarytool store-credentials` has made. Without the last two words
# the bundle is signed for this computer alone.
set -eu

version=$1
signer=${2:--}
profile=${3:-}
# A signature for this computer alone gets no time from Apple.
stamp=--timestamp
if [ "$signer" = - ]; then stamp=--timestamp=none; fi

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
out=$target/package/macos
app="$out/SeaCat Proxy.app"
rm -rf "$out"
mkdir -p "$app/Contents/MacOS" "$app/Contents/Resources" "$out/image"

# One bundle for both kinds of processor. Without `compat`: macOS brings no OpenSSL.
cargo xtask ui
for arch in aarch64 x86_64; do
    cargo build --release --target "$arch-apple-darwin" --no-default-features \
        -p seacat-agent -p seacat-gateway -p seacat-window --bins
done
for program in seacat-proxy seacat-gateway seacat-proxy-window; do
    lipo -create -output "$app/Contents/MacOS/$program" \
        "$target/aarch64-apple-darwin/release/$program" "$target/x86_64-apple-darwin/release/$program"
done

sed "s/@VERSION@/$version/" installers/macos/Info.plist > "$app/Contents/Info.plist"
plutil -lint "$app/Contents/Info.plist"

# iconutil takes the sizes by these names only.
icons=$out/seacat-proxy.iconset
mkdir "$icons"
for size in 16 32 128 256; do
    cp "icons/rendered/app/$size.png" "$icons/icon_${size}x$size.png"
    cp "icons/rendered/app/$((size * 2)).png" "$icons/icon_${size}x$size@2x.png"
done
cp icons/rendered/app/512.png "$icons/icon_512x512.png"
iconutil --convert icns --output "$app/Contents/Resources/seacat-proxy.icns" "$icons"

# From the inside out, as Apple asks; the hardened runtime is a condition of notarisation.
for program in seacat-proxy seacat-gateway; do
    codesign --force --options runtime "$stamp" --sign "$signer" "$app/Contents/MacOS/$program"
done
codesign --force --options runtime "$stamp" --sign "$signer" "$app"
codesign --verify --strict --verbose=2 "$app"

cp -R "$app" "$out/image/"
ln -s /Applications "$out/image/Applications"
image=$out/seacat-proxy-$version.dmg
hdiutil create -volname "SeaCat Proxy" -srcfolder "$out/image" -format UDZO "$image"
if [ -n "$profile" ]; then
    codesign --sign "$signer" --timestamp "$image"
    xcrun notarytool submit "$image" --keychain-profile "$profile" --wait
    xcrun stapler staple "$image"
fi
echo "$image"
