//! One's own hosts and clusters: where their file is, what it says to plans, and what it says to
//! providers.

use super::{Failure, lock};
use crate::catalog::{Catalog, files, hosts};
use crate::execution::provider::{ErrorKind, ProviderError};
use crate::model::hosts::OwnHosts;
use crate::spec::hosts::{HostsFault, HostsFile, parse};
use crate::util::file::read_text;
use crate::util::{environment, variables};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that is taken if none is named and it is there.
pub(super) const FILE: &str = "hosts.toml";

/// The file of the hosts, if there is one.
pub(super) fn file(named: Option<&Path>, working_dir: &Path) -> Option<PathBuf> {
    match named {
        Some(named) => Some(working_dir.join(named)),
        None => Some(working_dir.join(FILE)).filter(|path| path.exists()),
    }
}

/// What providers learn of the hosts: what their file says, if there is one, or why it cannot be
/// used. Only a provider that needs it fails for that.
pub(super) fn for_providers(
    named: Option<&Path>,
    working_dir: &Path,
) -> Option<Result<Arc<OwnHosts>, ProviderError>> {
    let own_hosts = read_hosts(&file(named, working_dir)?);
    Some(
        own_hosts
            .map(Arc::new)
            .map_err(|fault| ProviderError::new(ErrorKind::Other, fault)),
    )
}

/// Reads a file of hosts.
fn read_hosts(path: &Path) -> Result<OwnHosts, HostsFault> {
    let text = read_text(path).map_err(|error| {
        let message = error.to_string();
        let plain_reason = message
            .split_once(": ")
            .map_or(message.as_str(), |(_, plain)| plain);
        HostsFault {
            file: path.display().to_string(),
            line: 0,
            column: 0,
            message: format!("cannot read it: {plain_reason}"),
            hint: "name the file of your hosts with --hosts FILE or SKY_HOSTS".to_owned(),
        }
    })?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let home = environment::bytes(variables::HOME)
        .map(|home| std::env::current_dir().unwrap_or_default().join(home));
    let folder = absolute.parent().unwrap_or(Path::new(""));
    parse(&HostsFile {
        path,
        folder,
        home: home.as_deref(),
        text: &text,
    })
}

fn read_or_fail(path: &Path) -> Result<OwnHosts, Failure> {
    read_hosts(path).map_err(|fault| {
        let hint = fault.hint.clone();
        let without_hint = HostsFault {
            hint: String::new(),
            ..fault
        };
        Failure::error(format!(
            "the file of hosts cannot be used\n  {without_hint}"
        ))
        .hint(hint)
    })
}

/// The catalog with what one's own hosts offer; `named` is the folder that the arguments name.
pub(super) fn laid_over(
    catalog: Catalog,
    named: Option<&Path>,
    hosts: Option<&Path>,
) -> Result<Catalog, Failure> {
    let Some(path) = file(hosts, Path::new("")) else {
        return Ok(catalog);
    };
    let own_hosts = read_or_fail(&path)?;
    let clouds = hosts::clouds(&own_hosts);
    if let Some(place) = catalog
        .places
        .iter()
        .find(|place| clouds.contains(&place.name.cloud.as_str()))
    {
        let message = format!(
            "the catalog has a place {} already, and {} would add others",
            place.name,
            path.display()
        );
        return Err(Failure::error(message).hint("name the cloud in the catalog in another way"));
    }
    let folder = match named {
        Some(named) => Some(named.to_owned()),
        None => lock::read()?.and_then(|pinned| lock::folder(&pinned.at)),
    };
    let files = match &folder {
        Some(folder) => files::read(folder),
        None => files::shipped(),
    };
    hosts::laid_over(files.map_err(Failure::error)?, &own_hosts, &catalog.date).map_err(|error| {
        // What does not fit was written in that file.
        Failure::error(format!("{}: {error}", path.display()))
    })
}
