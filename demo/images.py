#!/usr/bin/env python3
"""Makes small multi-platform images from Debian packages, as one OCI image layout.

usage: images.py PACKAGES LAYOUT

PACKAGES holds a folder per architecture with .deb files in it. Every image is built on the same base layer, as images
of one house usually are. The same packages give the same bytes and so the same digests. The names of the images are
printed, one REPOSITORY:TAG a line.
"""

import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile

PLATFORMS = {
    "amd64": {"architecture": "amd64", "os": "linux"},
    "arm64": {"architecture": "arm64", "os": "linux", "variant": "v8"},
}
CREATED = "2026-01-01T00:00:00Z"
CREATED_SECONDS = 1767225600
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

# Packages of before and after Debian's merge of /bin into /usr/bin must fit one root.
MERGED = ("bin", "sbin", "lib", "lib64")
UNWANTED = re.compile(r"usr/share/(doc|man|info|locale|lintian|bash-completion|zsh)/")
APPLETS = "cat cp cut date df echo env find grep head id ls mkdir mv ps rm sed sh sleep sort tail tar wget".split()
HELLO_VERSIONS = "1.0.0 1.0.1 1.1.0 1.1.1 1.2.0 1.2.1 1.3.0-rc1".split()


class Layout:
    """An OCI image layout on disk."""

    def __init__(self, root):
        self.root = root
        self.images = []
        (root / "blobs/sha256").mkdir(parents=True)

    def blob(self, media_type, data):
        """Stores a blob and returns its descriptor."""
        digest = hashlib.sha256(data).hexdigest()
        (self.root / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def json(self, media_type, value):
        return self.blob(media_type, json.dumps(value, separators=(",", ":")).encode())

    def image(self, repository, tags, layers, config):
        """Stores one image for all platforms; `layers` holds those of each architecture."""
        manifests = [self.manifest(layers[arch], config, platform) for arch, platform in PLATFORMS.items()]
        index = self.json(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
        for tag in tags:
            name = f"{repository}:{tag}"
            self.images.append({**index, "annotations": {"org.opencontainers.image.ref.name": name}})
            print(name)

    def manifest(self, layers, config, platform):
        image_config = {
            "created": CREATED,
            **platform,
            "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], **config},
            "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]},
            "history": [{"created": CREATED, "created_by": layer["created_by"]} for layer in layers],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.json(CONFIG, image_config),
            "layers": [self.blob(LAYER, layer["data"]) for layer in layers],
        }
        return {**self.json(MANIFEST, manifest), "platform": platform}

    def finish(self):
        (self.root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.images}
        (self.root / "index.json").write_text(json.dumps(index))


class Packages:
    """The .deb files of every architecture."""

    def __init__(self, root):
        self.root = root

    def path(self, arch, name):
        return next((self.root / arch).glob(f"{name}_*.deb"))

    def version(self, name):
        """The version that upstream gave it: no epoch, no Debian revision."""
        field = ["dpkg-deb", "--field", self.path("amd64", name), "Version"]
        version = subprocess.run(field, check=True, capture_output=True, text=True).stdout.strip()
        version = version.split(":")[-1].rsplit("-", 1)[0]
        return re.sub(r"[^\w.-]", ".", version)

    def files(self, arch, *names):
        """The files of packages, as (TarInfo, content) pairs."""
        for name in names:
            unpack = ["dpkg-deb", "--fsys-tarfile", self.path(arch, name)]
            data = subprocess.run(unpack, check=True, capture_output=True).stdout
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for entry in archive:
                    entry.name = merged(entry.name.removeprefix("./"))
                    if entry.islnk():
                        entry.linkname = merged(entry.linkname.removeprefix("./"))
                    if entry.name.strip("./") not in ("", "usr") and not UNWANTED.match(entry.name + "/"):
                        yield entry, archive.extractfile(entry).read() if entry.isreg() else None


def merged(path):
    return f"usr/{path}" if path.split("/")[0] in MERGED else path


def file(path, text, mode=0o644):
    entry = tarfile.TarInfo(path)
    entry.mode = mode
    return entry, text.encode()


def directory(path, mode=0o755):
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry, None


def symlink(path, destination):
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, destination, 0o777
    return entry, None


def layer(created_by, entries):
    """A layer of these entries, the same bytes for the same entries; a hard link comes after what it links to."""
    unique = {entry.name: (entry, data) for entry, data in entries}.values()
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for entry, data in sorted(unique, key=lambda pair: (pair[0].islnk(), pair[0].name)):
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = CREATED_SECONDS, 0, 0, "", ""
            entry.size = len(data) if data is not None else 0
            archive.addfile(entry, io.BytesIO(data) if data is not None else None)
    return {
        "created_by": created_by,
        "diff_id": "sha256:" + hashlib.sha256(tar.getvalue()).hexdigest(),
        "data": gzip.compress(tar.getvalue(), mtime=0),
    }


def base(packages, arch):
    """A root with busybox, under every image."""
    folders = "dev etc proc root sys usr usr/bin usr/lib usr/lib64 usr/sbin".split()
    root = [directory(path) for path in folders]
    root += [symlink(path, f"usr/{path}") for path in MERGED]
    root += [symlink(f"usr/bin/{applet}", "busybox") for applet in APPLETS]
    root += [
        directory("tmp", 0o1777),
        file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
        file("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ]
    return layer("busybox-static", [*root, *packages.files(arch, "busybox-static")])


def main(packages_root, layout_root):
    packages, layout = Packages(pathlib.Path(packages_root)), Layout(pathlib.Path(layout_root))
    bases = {arch: base(packages, arch) for arch in PLATFORMS}
    libcs = {arch: layer("libc6", packages.files(arch, "libc6")) for arch in PLATFORMS}

    version = packages.version("busybox-static")
    tags = [version, version.rsplit(".", 1)[0], "latest"]
    layout.image("library/busybox", tags, {arch: [bases[arch]] for arch in PLATFORMS}, {"Cmd": ["sh"]})

    tools = {"jo": ["jo"], "jq": ["jq", "libjq1", "libonig5"], "tini": ["tini"]}
    for name, parts in tools.items():
        own = {arch: layer(" ".join(parts), packages.files(arch, *parts)) for arch in PLATFORMS}
        layers = {arch: [bases[arch], libcs[arch], own[arch]] for arch in PLATFORMS}
        version = packages.version(name)
        layout.image(f"tools/{name}", [version, "latest"], layers, {"Entrypoint": [name]})
        debug = {"Entrypoint": [name], "Labels": {"debug": "true"}}
        layout.image(f"tools/{name}", [f"{version}-debug"], layers, debug)

    for version in [*HELLO_VERSIONS, "nightly"]:
        script = layer(f"hello {version}", [file("usr/bin/hello", f"#!/bin/sh\necho hello {version}\n", 0o755)])
        tag = version if version == "nightly" else f"v{version}"
        layers = {arch: [bases[arch], script] for arch in PLATFORMS}
        layout.image("acme/hello", [tag], layers, {"Cmd": ["hello"]})

    layout.finish()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
