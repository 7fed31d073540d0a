//! Bringing home what lies in a bucket.

use super::bucket::{Bucket, BucketError, Trouble};
use super::objects::Objects;
use crate::model::{Pack, pack};
use crate::util::archive;
use crate::util::interruptible::{self, Bounds};
use crate::util::tree::{self, Kind, Links, Measured};
use crate::util::{file, file_changes, hash};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Whether all chunks of a pack are in a bucket, as far as their sizes tell.
pub async fn there(bucket: &Bucket, pack: &Pack) -> Result<bool, BucketError> {
    let sizes = match bucket.sizes(&pack.key).await {
        Ok(sizes) => sizes,
        Err(error) if error.kind == Trouble::Missing => return Ok(false),
        Err(error) => return Err(error),
    };
    let last_chunk = pack.chunks() - 1;
    Ok((0..=last_chunk).all(|number| {
        let chunk_size = if number == last_chunk {
            pack.bytes - last_chunk * pack.chunk_bytes
        } else {
            pack.chunk_bytes
        };
        sizes.get(&pack::chunk(number)) == Some(&chunk_size)
    }))
}

/// Reads a pack and puts what is in it into the store: nothing of it is believed before all of it
/// is known to be the bytes that were written.
pub async fn bring(
    bucket: &Bucket,
    pack: &Pack,
    kind: Kind,
    objects: &Objects,
) -> Result<Measured, BucketError> {
    let bucket_failed = |error: io::Error| BucketError {
        kind: Trouble::Other,
        message: error.to_string(),
    };
    let folder = objects.scratch().map_err(bucket_failed)?;
    let whole_file = folder.path().join("pack");
    let mut open_file = file_changes::create(&whole_file)
        .map_err(|error| bucket_failed(file::named(&whole_file, "create", error)))?;
    let mut digests = Vec::new();
    for object in pack.objects() {
        let bytes = bucket.read(&object).await?;
        digests.push(hash::digest(&bytes));
        open_file
            .write_all(&bytes)
            .map_err(|error| bucket_failed(file::named(&whole_file, "write", error)))?;
    }
    drop(open_file);
    if pack::digest(&digests) != pack.digest {
        let message = format!(
            "{}/{} is not what was written: somebody has changed it",
            bucket.address(),
            pack.key
        );
        return Err(BucketError {
            kind: Trouble::Damaged,
            message,
        });
    }
    let objects = objects.clone();
    let laid = interruptible::blocking(move |bounds| {
        let content = lay_pack(&whole_file, kind, folder.path(), bounds)?;
        objects.put_within(&content, Links::Keep, bounds)
    });
    laid.await.map_err(bucket_failed)
}

fn lay_pack(
    whole_pack: &Path,
    kind: Kind,
    folder: &Path,
    bounds: &Bounds,
) -> io::Result<std::path::PathBuf> {
    let fail = |error| file::named(whole_pack, "unpack", error);
    match kind {
        Kind::Directory => {
            let target = folder.join("content");
            file_changes::create_dir(&target).map_err(fail)?;
            archive::unpack(
                std::fs::File::open(whole_pack).map_err(fail)?,
                &target,
                bounds,
            )
            .map_err(fail)?;
            tree::remove(whole_pack)?;
            Ok(target)
        }
        Kind::File | Kind::Executable => {
            let file_mode = if kind == Kind::Executable {
                0o755
            } else {
                0o644
            };
            file_changes::set_permissions(whole_pack, PermissionsExt::from_mode(file_mode))
                .map_err(fail)?;
            Ok(whole_pack.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PlaceName;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work)
    }

    #[test]
    fn only_what_was_written_comes_home() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("shared");
        let address = format!("file://{}", shared.display());
        let bucket = Bucket::open(&address, &PlaceName::here()).unwrap();
        block_on(bucket.make("lineage")).unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("empty")).unwrap();
        std::fs::write(tree.join("x"), "content of x").unwrap();
        std::os::unix::fs::symlink("x", tree.join("link")).unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        archive.follow_symlinks(false);
        archive.append_dir_all(".", &tree).unwrap();
        let bytes = archive.into_inner().unwrap();
        let chunks: Vec<&[u8]> = bytes.chunks(1000).collect();
        let key = "ab".repeat(32);
        std::fs::create_dir(shared.join(&key)).unwrap();
        let digests: Vec<hash::Digest> = chunks.iter().map(|chunk| hash::digest(chunk)).collect();
        let digest = pack::digest(&digests);
        let pack = Pack {
            key: key.clone(),
            bytes: bytes.len() as u64,
            chunk_bytes: 1000,
            digest,
        };
        for (number, chunk) in (0..).zip(&chunks) {
            assert!(!block_on(there(&bucket, &pack)).unwrap());
            std::fs::write(shared.join(&key).join(pack::chunk(number)), chunk).unwrap();
        }
        assert!(block_on(there(&bucket, &pack)).unwrap());
        let objects = Objects::at(folder.path().join("objects"));
        let brought = block_on(bring(&bucket, &pack, Kind::Directory, &objects)).unwrap();
        assert_eq!(brought, tree::measure(&tree, Links::Keep).unwrap());
        assert!(objects.has(&brought.digest, brought.kind));
        std::fs::write(shared.join(&key).join("00001"), vec![7; 1000]).unwrap();
        let error = block_on(bring(&bucket, &pack, Kind::Directory, &objects)).unwrap_err();
        assert!(
            error.message.ends_with(&format!(
                "/{key} is not what was written: somebody has changed it"
            )),
            "{error}"
        );
        // Nothing half done is left.
        objects.sweep(&|_| true).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path().join("objects"))
            .unwrap()
            .collect();
        assert_eq!(left.len(), 1, "{left:?}");
        block_on(bucket.delete()).unwrap();
        block_on(bucket.delete()).unwrap();
        assert!(!shared.exists());
    }
}
