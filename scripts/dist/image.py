#!/usr/bin/env python3
"""Writes the container image as an archive of an OCI layout: one layer with the binary and the CA certificates, for each
platform. The same input gives the same bytes.

usage: image.py OUT VERSION REVISION SECONDS CERTIFICATES LICENCES PLATFORM=BINARY...
"""

import datetime
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile

# Only Docker's configuration has a health check: Podman ignores one in an OCI configuration.
DOCKER = "application/vnd.docker."
LIST = f"{DOCKER}distribution.manifest.list.v2+json"
MANIFEST = f"{DOCKER}distribution.manifest.v2+json"
CONFIG = f"{DOCKER}container.image.v1+json"
LAYER = f"{DOCKER}image.rootfs.diff.tar.gzip"

USER = 65532
PASSWD = f"root:x:0:0:root:/root:/sbin/nologin\ntransship:x:{USER}:{USER}:transship:/var/lib/transship:/sbin/nologin\n"
GROUP = f"root:x:0:\ntransship:x:{USER}:\n"
SECOND = 1_000_000_000


def encoded(value):
    return json.dumps(value, indent=1).encode()


def archive(entries, seconds):
    """A tar of (path, mode, owner, bytes or None for a folder), sorted by path."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, mode, owner, data in sorted(entries):
            entry = tarfile.TarInfo(path)
            entry.mode, entry.uid, entry.gid, entry.mtime = mode, owner, owner, seconds
            if data is None:
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def root(binary, certificates, licences):
    """All files of the image, and the folders above them."""
    files = {
        "usr/bin/transship": (0o755, binary),
        "etc/ssl/certs/ca-certificates.crt": (0o644, certificates),
        "etc/passwd": (0o644, PASSWD.encode()),
        "etc/group": (0o644, GROUP.encode()),
        "usr/share/doc/transship/THIRD-PARTY-LICENSES.txt": (0o644, licences),
    }
    parents = {str(parent) for path in files for parent in pathlib.PurePath(path).parents} - {"."}
    for folder in parents | {"etc/transship", "var", "var/lib"}:
        yield folder, 0o755, 0, None
    yield "tmp", 0o1777, 0, None
    yield "var/lib/transship", 0o700, USER, None
    for path, (mode, data) in files.items():
        yield path, mode, 0, data


class Layout:
    """Blobs by digest, as an OCI layout holds them."""

    def __init__(self):
        self.entries = [("blobs", 0o755, 0, None), ("blobs/sha256", 0o755, 0, None)]

    def file(self, path, data):
        self.entries.append((path, 0o644, 0, data))

    def blob(self, media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        path = f"blobs/sha256/{digest}"
        if not any(entry[0] == path for entry in self.entries):
            self.file(path, data)
        return {"mediaType": media_type, "size": len(data), "digest": f"sha256:{digest}"}


def configuration(architecture, diff_id, created, labels):
    return {
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/bin", "HOME=/var/lib/transship", "STATE_DIRECTORY=/var/lib/transship"],
            "Entrypoint": ["/usr/bin/transship"],
            "Cmd": ["serve"],
            "WorkingDir": "/var/lib/transship",
            "Volumes": {"/var/lib/transship": {}},
            "ExposedPorts": {"9618/tcp": {}},
            "StopSignal": "SIGTERM",
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/transship", "healthcheck"],
                "Interval": 30 * SECOND,
                "Timeout": 10 * SECOND,
                "StartPeriod": 20 * SECOND,
                "Retries": 3,
            },
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": created, "created_by": "make dist"}],
    }


def main(out, version, revision, seconds, certificates, licences, *platforms):
    seconds = int(seconds)
    created = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    certificates, licences = pathlib.Path(certificates).read_bytes(), pathlib.Path(licences).read_bytes()
    labels = {
        "org.opencontainers.image.title": "transship",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
    }
    layout, manifests = Layout(), []
    for platform in platforms:
        architecture, binary = platform.split("=", 1)
        tar = archive(root(pathlib.Path(binary).read_bytes(), certificates, licences), seconds)
        layer = layout.blob(LAYER, gzip.compress(tar, 9, mtime=0))
        diff_id = "sha256:" + hashlib.sha256(tar).hexdigest()
        config = layout.blob(CONFIG, encoded(configuration(architecture, diff_id, created, labels)))
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        manifests.append(
            layout.blob(MANIFEST, encoded(manifest)) | {"platform": {"os": "linux", "architecture": architecture}}
        )
    top = layout.blob(LIST, encoded({"schemaVersion": 2, "mediaType": LIST, "manifests": manifests}))
    # What Podman and containerd call it after they load it.
    name = f"localhost/transship:{version}"
    top["annotations"] = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}
    layout.file("oci-layout", encoded({"imageLayoutVersion": "1.0.0"}))
    layout.file("index.json", encoded({"schemaVersion": 2, "manifests": [top]}))
    pathlib.Path(out).write_bytes(archive(layout.entries, seconds))


if __name__ == "__main__":
    if len(sys.argv) < 8:
        sys.exit(__doc__)
    main(*sys.argv[1:])
