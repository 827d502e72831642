//! Copies one image, with all its platforms, from one registry to another.
//!
//! ```text
//! cargo run --example copy_image -- [--login] [--plain-http HOST]... SOURCE TARGET
//! cargo run --example copy_image -- --plain-http 127.0.0.1:5002 alpine:3.22 127.0.0.1:5002/alpine:3.22
//! ```
//!
//! Blobs that the target has are not sent again. Children are written before their index, and the
//! tag last, so that the target never serves an image that is half there. With `--login`, logins come
//! from docker's config.

use std::{error::Error, process::ExitCode, sync::Arc};

use futures::future::BoxFuture;
use transship_registry::{
    Registries, Registry, RequestCounter, RetryPolicy, UploadBody, UploadProgress, UploadStart,
    WaiterCount,
    oci::{Content, Descriptor, Reference, RegistryName, Version, parse_image},
    settings::{Login, LoginSource, RegistrySettings, Renewal, Settings},
};

const USAGE: &str = "usage: copy_image [--login] [--plain-http HOST]... SOURCE TARGET";

/// What to copy, and where to.
struct Copy {
    source: Registry,
    target: Registry,
    from: Reference,
    to: Reference,
}

/// The command line.
struct Arguments {
    uses_login: bool,
    plain_http: Vec<RegistryName>,
    from: Reference,
    to: Reference,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("copy_image: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let Arguments {
        uses_login,
        plain_http,
        from,
        to,
    } = arguments(std::env::args().skip(1))?;
    let mut settings = Settings::default();
    for registry in [from.repository.registry(), to.repository.registry()] {
        let mut login = Login::default();
        if uses_login {
            let source = Renewal::new(registry, LoginSource::DockerConfig);
            login = Login::from_source(source).map_err(|error| error.message)?;
        }
        let own = RegistrySettings {
            plain_http: plain_http.contains(registry),
            login,
            ..RegistrySettings::default()
        };
        settings.registries.insert(registry.clone(), own);
    }
    let registries = Registries::new(settings, Arc::new(()), RetryPolicy::default(), Vec::new());
    let read = Arc::new(RequestCounter::default());
    let written = Arc::new(RequestCounter::default());
    let copy = Copy {
        source: registries.open(from.repository.registry(), read.clone())?,
        target: registries.open(to.repository.registry(), written.clone())?,
        from,
        to,
    };
    copy.manifest(copy.from.clone(), copy.to.clone()).await?;
    eprintln!(
        "copied {} to {}: {} bytes read in {} requests, {} bytes written in {}",
        copy.from,
        copy.to,
        read.bytes(),
        read.requests(),
        written.bytes(),
        written.requests(),
    );
    Ok(())
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn Error>> {
    let (mut uses_login, mut plain_http, mut images) = (false, Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--login" => uses_login = true,
            "--plain-http" => plain_http.push(words.next().ok_or(USAGE)?.parse()?),
            _ if word.starts_with('-') => return Err(USAGE.into()),
            _ => images.push(reference(&word)?),
        }
    }
    let [from, to] = <[Reference; 2]>::try_from(images).map_err(|_| USAGE)?;
    Ok(Arguments {
        uses_login,
        plain_http,
        from,
        to,
    })
}

/// Reads an image as `docker pull` does. Default tag: `latest`.
fn reference(image: &str) -> Result<Reference, Box<dyn Error>> {
    let (repository, version) = parse_image(image)?;
    let version = match version {
        Some(version) => version,
        None => Version::Tag("latest".parse()?),
    };
    Ok(Reference {
        repository,
        version,
    })
}

impl Copy {
    /// Copies a manifest, after all that it leads to.
    fn manifest(
        &self,
        from: Reference,
        to: Reference,
    ) -> BoxFuture<'_, Result<(), Box<dyn Error>>> {
        Box::pin(async move {
            let manifest = self.source.get_manifest(&from).await?;
            let manifest = manifest.ok_or_else(|| format!("{from} does not exist"))?;
            let (Content::Image(parts) | Content::Index(parts)) = manifest.content()?;
            let is_index = matches!(manifest.content()?, Content::Index(_));
            for part in &parts {
                // The entries of a build cache's index are blobs.
                if is_index && part.is_manifest() {
                    let from = from.repository.digest(&part.digest);
                    let to = to.repository.digest(&part.digest);
                    self.manifest(from, to).await?;
                } else {
                    self.blob(part).await?;
                }
            }
            self.target.put_manifest(&to, &manifest).await?;
            Ok(())
        })
    }

    /// Copies a blob, unless the target has it. It is verified on the way: a wrong one is never
    /// completed at the target.
    async fn blob(&self, blob: &Descriptor) -> Result<(), Box<dyn Error>> {
        let (from, to) = (&self.from.repository, &self.to.repository);
        if self.target.has_blob(to, &blob.digest).await? {
            return Ok(());
        }
        let waiters = WaiterCount::default();
        let _session = self.target.session_permit(blob.size, waiters).await;
        let started = self.target.start_upload(to, &blob.digest, None).await?;
        let UploadStart::Session(mut upload) = started else {
            return Ok(());
        };
        // Permits of the source come first, in every copy, so that copies never wait in a circle.
        let _pull = self.source.pull_permit(blob.size).await;
        let _push = self.target.push_permit(blob.size).await;
        let hasher = blob.digest.hasher();
        let bytes = self.source.pull_blob(from, blob, hasher.clone()).await?;
        let body = UploadBody::new(bytes, hasher);
        while self.target.send(&mut upload, blob, &body).await? == UploadProgress::Chunk {}
        Ok(())
    }
}
