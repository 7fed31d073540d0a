//! Providers of one's own hosts, as the command line opens them: with what the file of hosts says.

use sky::execution::provider::{Access, ErrorKind, ProviderError};
use sky::spec::hosts::{HostsFile, parse};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What providers are reached with; `root` is the state folder, and `hosts` the full path of the
/// file of hosts.
pub(crate) fn access(root: PathBuf, hosts: &Path) -> Access {
    let text = std::fs::read_to_string(hosts).unwrap();
    let own = parse(&HostsFile {
        path: hosts,
        folder: hosts.parent().unwrap(),
        home: None,
        text: &text,
    });
    let own = own
        .map(Arc::new)
        .map_err(|fault| ProviderError::new(ErrorKind::Other, fault));
    Access {
        root,
        hosts: Some(own),
        cloud: None,
        registry: None,
    }
}
