//! The configs of images: small blobs, read at once.

use reqwest::Method;

use crate::{
    Error, Kind, Operation, Registry,
    oci::{Descriptor, Repository},
};

/// Maximum size of a config. Usual ones have about 10 kB.
const SIZE_LIMIT: usize = 8 << 20;

impl Registry {
    /// Pulls the config of an image and verifies it.
    pub async fn get_config(
        &self,
        repository: &Repository,
        config: &Descriptor,
    ) -> Result<bytes::Bytes, Error> {
        let subject = format!("{} of {repository}", config.digest);
        let path = format!("blobs/{}", config.digest);
        let mut request = self.request(
            Operation::PullConfig,
            subject,
            Method::GET,
            repository,
            &path,
        );
        request.max_bytes = SIZE_LIMIT;
        let answer = self.client.send(&self.http, &request).await?;
        if config.digest.matches(&answer.body) {
            return Ok(answer.body);
        }
        let (expected, found) = (config.digest.clone(), crate::oci::Digest::of(&answer.body));
        Err(self.http.error(
            request.operation,
            request.subject,
            Kind::Mismatch { expected, found },
        ))
    }
}
