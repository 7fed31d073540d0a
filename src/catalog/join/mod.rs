//! How a cloud joins the catalog: one signed file with its places, machines, services, prices,
//! network and limits ([`form`]), read from a file or a URL ([`location`]), checked against its
//! signature ([`sign`]), and laid over a catalog folder.
//!
//! A file speaks of its own cloud only: it cannot change what others offer. Whether a price holds
//! is judged twice, and neither reads the clock of a plan: when the file is registered, against the
//! day of the registration; and whenever the catalog is loaded, against the catalog's own day, that
//! of its newest price. So a plan is the same on every day.

mod check;
mod form;
pub mod location;
mod number;
mod rows;
pub mod sign;
mod trace;

use crate::catalog::draft::Draft;
use crate::catalog::files::{self, CATALOG};
use crate::catalog::{CatalogError, source};
use crate::util::hash;
use form::Form;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::path::Path;

/// What a registration is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file: a path, `file://` or `http(s)://`.
    pub location: String,
    /// Its signature; empty: the location with `.minisig` after it.
    pub signature: String,
    /// Public keys: their text, or files that hold them.
    pub keys: Vec<String>,
    /// Takes a file without a signature.
    pub allow_unsigned: bool,
    /// Lays it over a cloud that joined without a signature.
    pub replace: bool,
    /// The day of the registration.
    pub today: Date,
}

/// What a registration did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    pub cloud: String,
    pub about: String,
    /// The key that signed the file; none: it is not signed.
    pub key: Option<String>,
    pub valid_until: String,
    pub places: usize,
    pub machines: usize,
    pub prices: usize,
    pub services: usize,
    /// Prices that do not hold on the day of the registration, and why.
    pub left_out: Vec<String>,
    /// It took the place of what the same cloud had registered before.
    pub replaced: bool,
    /// The folder is new: it starts as a copy of the shipped catalog.
    pub created: bool,
    /// Files whose text is new or changed.
    pub changed: Vec<String>,
}

/// Registers a file in the catalog folder `out`, which is created as a copy of the shipped
/// catalog if it is not there. Nothing is changed if anything is wrong.
pub fn register(options: &Options, out: &Path) -> Result<Joined, CatalogError> {
    let shown = &options.location;
    let bytes = location::read(shown)?;
    let created = !out.join(CATALOG).exists();
    if created && out.exists() && std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        let hint = "name a catalog folder with --catalog, or a new one";
        return Err(CatalogError::file(out.display().to_string(), "the folder has no catalog in it", hint));
    }
    let old = if created { Vec::new() } else { files::read(out)? };
    let mut draft = if created { Draft::read(&files::shipped()?)? } else { Draft::read(&old)? };
    let signer = signed_by(options, out, &bytes, &draft)?;
    let key = signer.as_ref().map(|signer| signer.key.clone());
    let file = files::file(shown.clone(), shown.clone(), bytes)?;
    let form = Form::read(&file)?;
    check::form(&form, &file)?;
    in_force(&form, &file, options.today)?;
    if let Some(signer) = &signer {
        is_own_key(&form, &file, signer, &draft)?;
    }
    let replaced = make_room(&form, &file, key.as_deref(), options, &mut draft)?;
    let mut joined = Joined {
        cloud: form.cloud.get_ref().clone(),
        about: form.about.clone(),
        key: key.clone(),
        valid_until: form.valid_until.get_ref().clone(),
        replaced,
        created,
        ..Joined::default()
    };
    rows::add(&form, &file, options.today, &mut draft, &mut joined)?;
    if joined.prices + joined.services == 0 {
        let hint = "a cloud joins with what it offers: `[[prices]]` or `[[services]]` that hold today";
        return Err(CatalogError::file(shown, "there is nothing in it that can be had", hint));
    }
    let mut report = source::Report::default();
    source::check::leave_out(&mut draft, &joined.cloud, &BTreeMap::new(), &mut report);
    for (rows, why) in report.reasons() {
        joined.prices = joined.prices.saturating_sub(rows);
        joined.left_out.push(if rows == 1 { why } else { format!("{why} ({rows} prices)") });
    }
    if joined.prices + joined.services == 0 {
        let message = format!("nothing in it is believed: {}", joined.left_out.join(", "));
        return Err(CatalogError::file(shown, message, "write prices in USD per machine and hour"));
    }
    let record = crate::catalog::draft::JoinedRow {
        about: form.about.clone(),
        date: form.date.get_ref().clone(),
        valid_from: form.valid_from.as_ref().map(|day| day.get_ref().clone()).unwrap_or_default(),
        valid_until: form.valid_until.get_ref().clone(),
        key: key.unwrap_or_default(),
        file_sha256: hash::digest(file.text.as_bytes()).into(),
        url: form.url.clone(),
        revision: form.revision,
    };
    draft.joined.insert(joined.cloud.clone(), record);
    draft.drop_unused_sources();
    joined.changed = source::save(&old, &draft, out).map_err(|error| trace::back(error, &form, &file, out))?;
    Ok(joined)
}

/// Who signed a file.
struct Signer {
    key: String,
    /// The user has named the key, or the catalog folder lists it: it may sign the file of any cloud. Else it is known
    /// from a file that was registered before, and is for that cloud alone.
    for_any_cloud: bool,
}

/// Who signed the file; none: it is not signed, and may be so.
fn signed_by(options: &Options, out: &Path, bytes: &[u8], draft: &Draft) -> Result<Option<Signer>, CatalogError> {
    let named = !options.signature.is_empty();
    let place = if named { options.signature.clone() } else { format!("{}.minisig", options.location) };
    let signature = match location::read(&place) {
        Ok(signature) => signature,
        Err(_) if !named && options.allow_unsigned => return Ok(None),
        Err(error) => {
            let hint = "sign the file with `minisign -Sm FILE`; a file without a signature needs --allow-unsigned";
            return Err(CatalogError { hint: hint.to_owned(), ..error });
        }
    };
    let mut keys = sign::keys(&options.keys)?;
    keys.extend(sign::trusted(out)?);
    let for_any_cloud = keys.len();
    // Whoever joined before may send a newer file of the same cloud.
    keys.extend(draft.joined.values().map(|row| row.key.clone()).filter(|key| !key.is_empty()));
    let key = sign::verify(&options.location, &place, bytes, &signature, &keys)?;
    let for_any_cloud = keys.iter().take(for_any_cloud).any(|named| *named == key);
    Ok(Some(Signer { key, for_any_cloud }))
}

/// Refuses a file that is signed by the key of another cloud, unless the user trusts that key for this one.
fn is_own_key(form: &Form, file: &files::File, signer: &Signer, draft: &Draft) -> Result<(), CatalogError> {
    let cloud = form.cloud.get_ref();
    if signer.for_any_cloud || draft.joined.get(cloud).is_some_and(|row| row.key == signer.key) {
        return Ok(());
    }
    let owners = draft.joined.iter().filter(|(_, row)| row.key == signer.key).map(|(cloud, _)| format!("`{cloud}`"));
    let owners = owners.collect::<Vec<_>>().join(", ");
    let message = format!("it is signed by the key of {owners}, which is trusted for that cloud alone");
    let hint = format!("if `{cloud}` is of the same owner, say so by naming the key: --key {}", signer.key);
    Err(form::fault(file, form.cloud.span(), message, &hint))
}

/// Whether the file holds on the day of the registration.
fn in_force(form: &Form, file: &files::File, today: Date) -> Result<(), CatalogError> {
    let until = form.valid_until.get_ref();
    if *until < today.to_string() {
        let message = format!("the file expired on {until}, and today is {today}");
        return Err(form::fault(file, form.valid_until.span(), message, "get a newer one from whoever offers it"));
    }
    match &form.valid_from {
        Some(from) if *from.get_ref() > today.to_string() => {
            let message = format!("the file holds from {} on, and today is {today}", from.get_ref());
            return Err(form::fault(file, from.span(), message, "register it then"));
        }
        _ => {}
    }
    let date = form.date.get_ref();
    if *date > today.to_string() {
        let message = format!("its figures are of {date}, and today is {today}");
        return Err(form::fault(file, form.date.span(), message, "the day of figures is one that has been"));
    }
    Ok(())
}

/// Refuses a name that is taken, or removes what the same cloud registered before.
fn make_room(
    form: &Form,
    file: &files::File,
    key: Option<&str>,
    options: &Options,
    draft: &mut Draft,
) -> Result<bool, CatalogError> {
    let cloud = form.cloud.get_ref().as_str();
    let of_cloud = |place: &str| place.split(':').next() == Some(cloud);
    let fault = |message: String, hint: &str| form::fault(file, form.cloud.span(), message, hint);
    let Some(before) = draft.joined.get(cloud) else {
        let taken = draft.places.keys().any(|place| of_cloud(place))
            || draft.machines.keys().any(|(of, _)| of == cloud)
            || draft.clouds.contains_key(cloud);
        let hint = "a cloud joins under a name of its own";
        return if taken { Err(fault(format!("the name `{cloud}` is taken"), hint)) } else { Ok(false) };
    };
    if before.key.is_empty() && key.is_some() && !options.replace {
        let message = format!("the name `{cloud}` is taken: it was registered without a signature");
        return Err(fault(message, "--replace puts this file in its place"));
    }
    if !before.key.is_empty() && before.key != key.unwrap_or_default() {
        let message = format!("the name `{cloud}` is taken: it was registered under another key");
        return Err(fault(message, "a newer file must be signed by the key that signed the first one"));
    }
    if key.is_none() && !options.replace {
        let message = format!("the name `{cloud}` is taken: it was registered without a signature");
        return Err(fault(message, "--replace puts this file in its place"));
    }
    if before.date > *form.date.get_ref() {
        let message =
            format!("the catalog has `{cloud}` as of {}, and this file is of {}", before.date, form.date.get_ref());
        return Err(form::fault(file, form.date.span(), message, "a file of an earlier day is not taken back"));
    }
    let newer = before.date < *form.date.get_ref() || before.revision < form.revision;
    let same = before.file_sha256 == *hash::digest(file.text.as_bytes());
    // Without a signature, nothing tells an older file from a newer one but the user.
    if key.is_some() && !newer && !same && !before.key.is_empty() {
        let message = format!(
            "the catalog has another file of `{cloud}` of {}, revision {}, and this one is revision {}",
            before.date, before.revision, form.revision
        );
        let hint = "an older file is not taken again; a newer one of the same day has a greater `revision`";
        return Err(form::fault(file, form.date.span(), message, hint));
    }
    draft.places.retain(|place, _| !of_cloud(place));
    draft.machines.retain(|(of, _), _| of != cloud);
    draft.prices.retain(|(of, _), _| of != cloud);
    draft.clouds.remove(cloud);
    draft.confidential.retain(|(of, _, _), _| of != cloud);
    draft.interruptions.retain(|(of, _, _), _| of != cloud);
    draft.egress.retain(|(from, _), _| !of_cloud(from));
    draft.throughput.retain(|(from, to), _| !of_cloud(from) && !of_cloud(to));
    draft.round_trips.retain(|(from, to), _| !of_cloud(from) && !of_cloud(to));
    draft.services.retain(|(places, ..), _| !of_cloud(places));
    draft.discounts.retain(|(places, _), _| !of_cloud(places));
    draft.quotas.retain(|(pattern, _), _| !of_cloud(pattern));
    Ok(true)
}
