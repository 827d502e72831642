use crate::content::blob_source::*;

#[tokio::test]
async fn full_answer_skips_known_bytes() {
    for skip in 0..=6 {
        let parts = ["ab", "c", "def"].map(|part| Ok(Bytes::from_static(part.as_bytes())));
        let rest = without_first(stream::iter(parts).boxed(), skip);
        let rest: Vec<Bytes> = rest.try_collect().await.unwrap();
        assert_eq!(rest.len(), 3, "each frame is a sign of life");
        let skip = usize::try_from(skip).unwrap();
        assert_eq!(rest.concat(), b"abcdef"[skip..]);
    }
}
