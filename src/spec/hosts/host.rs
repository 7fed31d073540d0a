//! The hosts of `hosts.toml`: how each is reached, and what it offers.

use super::fault::HostsFault;
use super::reader::{HostsFile, WrittenDecimal};
use super::text_checks::{cell, plain, word};
use crate::model::hosts::{HostOffer, HostTrust, OwnHost, SSH, SshTarget};
use crate::model::{Bytes, PlaceName, Rate, Tee, units};
use serde::Deserialize;
use toml::Spanned;

/// A table of a host.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostForm {
    pub(super) address: Option<Spanned<String>>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<Spanned<String>>,
    pub(super) identity: Option<Spanned<String>>,
    pub(super) known_hosts: Option<Spanned<String>>,
    pub(super) host_key: Option<Spanned<String>>,
    pub(super) root: Option<Spanned<String>>,
    pub(super) cpus: Option<Spanned<WrittenDecimal>>,
    pub(super) memory: Option<Spanned<String>>,
    pub(super) accelerators: Option<Spanned<String>>,
    pub(super) arch: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) tee: Vec<Spanned<String>>,
    pub(super) place: Option<Spanned<String>>,
    #[serde(rename = "type")]
    pub(super) instance_type: Option<Spanned<String>>,
    pub(super) slots: Option<Spanned<u32>>,
    pub(super) price: Option<Spanned<WrittenDecimal>>,
}

/// A host as its table says.
pub(super) fn host(
    file: &HostsFile,
    name: &Spanned<String>,
    form: &HostForm,
) -> Result<OwnHost, HostsFault> {
    let hint = "use letters, digits, `-`, `_` and `.`, and begin with a letter or a digit";
    if name.get_ref().is_empty() || !word(name.get_ref()) {
        let message = format!(
            "`{}` is not a name for a host",
            name.get_ref().escape_debug()
        );
        return Err(file.fault(name.span(), message, hint));
    }
    let own_name = || name.get_ref().clone();
    let mut ssh_reach = ssh_target(file, name, form)?;
    let hint = "use letters, digits, `-`, `_` and `.`";
    let place = file.text(&form.place, word, "name of a place", hint)?;
    let place = PlaceName {
        cloud: SSH.to_owned(),
        region: place.unwrap_or_else(own_name),
    };
    let instance_type = file
        .text(&form.instance_type, word, "name of a type", hint)?
        .unwrap_or_else(own_name);
    let slots = form.slots.as_ref();
    if let Some(slots) = slots.filter(|slots| !(1..=10_000).contains(slots.get_ref())) {
        let message = format!("{} slots are not usable", slots.get_ref());
        return Err(file.fault(
            slots.span(),
            message,
            "write how many stages may be there at a time, from 1 on",
        ));
    }
    let slots = slots.map_or(1, |slots| *slots.get_ref());
    let offer = host_offer(file, form)?;
    ssh_reach.identity = file.path(&form.identity)?;
    Ok(OwnHost {
        reach: ssh_reach,
        place,
        instance_type,
        slots,
        offer,
    })
}

/// How a host is reached, but for the key that sky logs in with.
fn ssh_target(
    file: &HostsFile,
    name: &Spanned<String>,
    form: &HostForm,
) -> Result<SshTarget, HostsFault> {
    let reachable = |text: &str| {
        !text.starts_with('-')
            && text
                .chars()
                .all(|one| one.is_ascii_alphanumeric() || "-_.:%".contains(one))
    };
    let address = file.text(
        &form.address,
        reachable,
        "address",
        "write a name, or an address such as 10.0.0.5",
    )?;
    let login = |text: &str| {
        !text.starts_with('-')
            && text
                .chars()
                .all(|one| one.is_ascii_alphanumeric() || "-_.@+\\".contains(one))
    };
    let user = file.text(
        &form.user,
        login,
        "name of a user",
        "write the name to log in with",
    )?;
    if form.port == Some(0) {
        return Err(file.fault(
            name.span(),
            "its port is 0",
            "write the port of its SSH server, or leave it out",
        ));
    }
    let trust = match (file.path(&form.known_hosts)?, &form.host_key) {
        (Some(_), Some(key)) => {
            return Err(file.fault(
                key.span(),
                "it has `known_hosts` and `host_key`",
                "keep one of them",
            ));
        }
        (Some(known), None) => HostTrust::File(known),
        (None, Some(key)) => HostTrust::Key(host_key(file, key)?),
        (None, None) => HostTrust::Known,
    };
    let rooted = |text: &str| {
        plain(text) && !text.split('/').any(|part| part == "..") && text != "/" && text != "~/"
    };
    let hint =
        "write a folder for sky alone, absolute or relative to the home folder there, without `..`";
    let root = file.text(&form.root, rooted, "folder", hint)?;
    Ok(SshTarget {
        name: name.get_ref().clone(),
        address: address.unwrap_or_else(|| name.get_ref().clone()),
        port: form.port,
        user,
        identity: None,
        trust,
        root: root.unwrap_or_else(|| ROOT.to_owned()),
    })
}

/// What a host offers.
fn host_offer(file: &HostsFile, form: &HostForm) -> Result<HostOffer, HostsFault> {
    let hint = "write how many there are, such as 8 or 0.5";
    let thousandths = |text: &str| units::scaled(text, 1000).ok().filter(|cpus| *cpus > 0);
    let cpus = file.number(&form.cpus, thousandths, "number of vCPUs", hint)?;
    let sized = |text: &str| Bytes::parse(text).is_ok();
    let memory = file.text(&form.memory, sized, "size", "write it like \"256 GiB\"")?;
    let hint = "write a name and how many there are, like \"A100-80GB:4\"";
    let cards = file.text(
        &form.accelerators,
        |text| parse_accelerators(text).is_some(),
        "kind of accelerators",
        hint,
    )?;
    let is_known = |text: &str| ["x86_64", "arm64"].contains(&text);
    let arch = file.text(
        &form.arch,
        is_known,
        "architecture",
        "write x86_64 or arm64",
    )?;
    if let Some(tee) = form
        .tee
        .iter()
        .find(|tee| Tee::parse(tee.get_ref()).is_none())
    {
        let names: Vec<&str> = Tee::ALL.into_iter().map(Tee::name).collect();
        let hint = format!("it is one of {}", names.join(", "));
        return Err(file.fault(
            tee.span(),
            format!("unknown environment `{}`", tee.get_ref()),
            &hint,
        ));
    }
    let price = |text: &str| Rate::parse_usd(text).ok().filter(|rate| rate.0 >= 0);
    let rate = file.number(
        &form.price,
        price,
        "price",
        "write it in US dollars an hour, like \"$1.20\"",
    )?;
    Ok(HostOffer {
        vcpu_thousandths: cpus.map_or(0, i64::unsigned_abs),
        memory: memory
            .and_then(|text| Bytes::parse(&text).ok())
            .unwrap_or(Bytes(0)),
        accelerators: cards.as_deref().and_then(parse_accelerators),
        arch: arch.unwrap_or_default(),
        tee: form.tee.iter().map(|tee| tee.get_ref().clone()).collect(),
        rate: rate.unwrap_or(Rate(0)),
    })
}

/// Where sky's folders are on a host that does not say.
const ROOT: &str = ".local/share/sky";

/// A key as `known_hosts` has it: its type and itself, without what may follow.
fn host_key(file: &HostsFile, key: &Spanned<String>) -> Result<String, HostsFault> {
    let key_parts: Vec<&str> = key.get_ref().split_ascii_whitespace().collect();
    let fits_key = |text: &str| {
        text.chars()
            .all(|one| one.is_ascii_alphanumeric() || "-_.@+/=".contains(one))
    };
    let is_key_type = |kind: &str| {
        ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|prefix| kind.starts_with(prefix))
    };
    match key_parts[..] {
        [kind, text, ..]
            if is_key_type(kind)
                && fits_key(kind)
                && fits_key(text)
                && text.starts_with("AAAA") =>
        {
            Ok(format!("{kind} {text}"))
        }
        _ => {
            let hint = "write the text of the host's public key, like \"ssh-ed25519 AAAA…\"";
            Err(file.fault(key.span(), "this is not a key of a host", hint))
        }
    }
}

/// `NAME` or `NAME:COUNT`.
fn parse_accelerators(text: &str) -> Option<(String, u32)> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (
            name,
            count
                .parse()
                .ok()
                .filter(|count| (1..=10_000).contains(count))?,
        ),
        None => (text, 1),
    };
    (!name.is_empty() && cell(name) && !name.contains(',')).then(|| (name.to_owned(), count))
}
