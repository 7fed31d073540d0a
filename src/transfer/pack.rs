//! Bringing home what lies in a bucket.

use super::bucket::{Bucket, BucketError, Trouble};
use super::objects::Objects;
use crate::model::{Pack, pack};
use crate::util::tree::{self, Kind, Measured};
use crate::util::{file, hash};
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
    let last = pack.chunks() - 1;
    Ok((0..=last).all(|number| {
        let size = if number == last { pack.bytes - last * pack.chunk_bytes } else { pack.chunk_bytes };
        sizes.get(&pack::chunk(number)) == Some(&size)
    }))
}

/// Reads a pack and puts what is in it into the store: nothing of it is believed before all of it is known to be the
/// bytes that were written.
pub async fn bring(bucket: &Bucket, pack: &Pack, kind: Kind, objects: &Objects) -> Result<Measured, BucketError> {
    let failed = |error: io::Error| BucketError { kind: Trouble::Other, message: error.to_string() };
    let folder = objects.scratch().map_err(failed)?;
    let whole = folder.path().join("pack");
    let mut open = std::fs::File::create(&whole).map_err(|error| failed(file::named(&whole, "create", error)))?;
    let mut digests = Vec::new();
    for object in pack.objects() {
        let bytes = bucket.read(&object).await?;
        digests.push(hash::digest(&bytes));
        open.write_all(&bytes).map_err(|error| failed(file::named(&whole, "write", error)))?;
    }
    drop(open);
    if pack::digest(digests.iter().map(String::as_str)) != pack.digest {
        let message = format!("{}/{} is not what was written: somebody has changed it", bucket.address(), pack.key);
        return Err(BucketError { kind: Trouble::Other, message });
    }
    let objects = objects.clone();
    let laid = tokio::task::spawn_blocking(move || {
        let content = lay(&whole, kind, folder.path())?;
        objects.put(&content)
    });
    laid.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(failed)
}

fn lay(whole: &Path, kind: Kind, folder: &Path) -> io::Result<std::path::PathBuf> {
    let fail = |error| file::named(whole, "unpack", error);
    match kind {
        Kind::Directory => {
            let target = folder.join("content");
            std::fs::create_dir(&target).map_err(fail)?;
            let mut archive = tar::Archive::new(std::fs::File::open(whole).map_err(fail)?);
            archive.set_preserve_mtime(false);
            archive.unpack(&target).map_err(fail)?;
            tree::remove(whole)?;
            Ok(target)
        }
        Kind::File | Kind::Executable => {
            let mode = if kind == Kind::Executable { 0o755 } else { 0o644 };
            std::fs::set_permissions(whole, PermissionsExt::from_mode(mode)).map_err(fail)?;
            Ok(whole.to_owned())
        }
    }
}
