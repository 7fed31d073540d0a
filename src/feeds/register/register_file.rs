//! The registration of a cloud: its file is read and checked, and takes the place of an older one.

use super::cloud_file::{self, CloudFile};
use super::{
    RegisterOptions, Registration, catalog_rows, check_cloud_file, file_or_url, signature,
    trace_error,
};
use crate::catalog::CatalogError;
use crate::catalog::draft::{Draft, RegisteredRow};
use crate::catalog::files::{self, CATALOG, File};
use crate::feeds::{ImportReport, catalog_folder, price_outliers};
use crate::util::hash;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::path::Path;

/// Registers a file in the catalog folder `out`, which is created as a copy of the shipped
/// catalog if it is not there. Nothing is changed if anything is wrong.
pub fn register(
    options: &RegisterOptions,
    catalog_folder: &Path,
) -> Result<Registration, CatalogError> {
    let shown_location = &options.location;
    let bytes = file_or_url::read(shown_location)?;
    let created = !catalog_folder.join(CATALOG).exists();
    if created {
        is_free_for_a_catalog(catalog_folder)?;
    }
    let old_files = match created {
        true => Vec::new(),
        false => files::read(catalog_folder)?,
    };
    let mut draft = match created {
        true => Draft::read(&files::shipped()?)?,
        false => Draft::read(&old_files)?,
    };
    let signer = signed_by(options, catalog_folder, &bytes, &draft)?;
    let signer_key = signer.as_ref().map(|signer| signer.key.clone());
    let file = files::file(shown_location.clone(), shown_location.clone(), bytes)?;
    let cloud_file = CloudFile::read(&file)?;
    check_cloud_file::check(&cloud_file, &file)?;
    in_force(&cloud_file, &file, options.today)?;
    if let Some(signer) = &signer {
        is_own_key(&cloud_file, &file, signer, &draft)?;
    }
    let replaced = make_room(
        &cloud_file,
        &file,
        signer_key.as_deref(),
        options,
        &mut draft,
    )?;
    let mut registration = Registration {
        cloud: cloud_file.cloud.get_ref().clone(),
        about: cloud_file.about.clone(),
        key: signer_key.clone(),
        valid_until: cloud_file.valid_until.get_ref().clone(),
        replaced,
        created,
        ..Registration::default()
    };
    catalog_rows::add_rows(
        &cloud_file,
        &file,
        options.today,
        &mut draft,
        &mut registration,
    )?;
    if registration.prices + registration.services == 0 {
        let message = "the file offers nothing that holds today";
        let hint =
            "a cloud joins with what it offers: `[[prices]]` or `[[services]]` that hold today";
        return Err(CatalogError::file(shown_location, message, hint));
    }
    leave_out_suspicious_prices(&mut draft, &mut registration, shown_location)?;
    let record = registered_row(&cloud_file, &file, signer_key);
    draft.registered.insert(registration.cloud.clone(), record);
    draft.drop_unused_sources();
    registration.changed = catalog_folder::save(&old_files, &draft, catalog_folder)
        .map_err(|error| trace_error::at_cloud_file(error, &cloud_file, &file, catalog_folder))?;
    Ok(registration)
}

/// Refuses a folder with other files in it, to which a catalog would be added.
fn is_free_for_a_catalog(catalog_folder: &Path) -> Result<(), CatalogError> {
    let has_entries =
        std::fs::read_dir(catalog_folder).is_ok_and(|mut entries| entries.next().is_some());
    if !has_entries {
        return Ok(());
    }
    Err(CatalogError::file(
        catalog_folder.display().to_string(),
        "the folder has no catalog in it",
        "name a catalog folder with --catalog, or a new one",
    ))
}

/// Leaves out prices that cannot be meant, and refuses a file of which nothing is left then.
fn leave_out_suspicious_prices(
    draft: &mut Draft,
    registration: &mut Registration,
    shown: &str,
) -> Result<(), CatalogError> {
    let mut report = ImportReport::default();
    price_outliers::leave_out(draft, &registration.cloud, &BTreeMap::new(), &mut report);
    for (rows, why) in report.reasons() {
        registration.prices = registration.prices.saturating_sub(rows);
        registration.left_out.push(match rows {
            1 => why,
            _ => format!("{why} ({rows} prices)"),
        });
    }
    if registration.prices + registration.services > 0 {
        return Ok(());
    }
    let reasons = registration.left_out.join(", ");
    Err(CatalogError::file(
        shown,
        format!("nothing in it is believed: {reasons}"),
        "write prices in USD per machine and hour",
    ))
}

/// The catalog's record of a registered file.
fn registered_row(cloud_file: &CloudFile, file: &File, key: Option<String>) -> RegisteredRow {
    let valid_from = cloud_file.valid_from.as_ref();
    RegisteredRow {
        about: cloud_file.about.clone(),
        date: cloud_file.date.get_ref().clone(),
        valid_from: valid_from
            .map(|day| day.get_ref().clone())
            .unwrap_or_default(),
        valid_until: cloud_file.valid_until.get_ref().clone(),
        key: key.unwrap_or_default(),
        file_sha256: hash::digest(file.text.as_bytes()).into(),
        url: cloud_file.url.clone(),
        revision: cloud_file.revision,
    }
}

/// Who signed a file.
struct Signer {
    key: String,
    /// The user has named the key, or the catalog folder lists it: it may sign the file of any
    /// cloud. Else it is known from a file that was registered before, and is for that cloud alone.
    for_any_cloud: bool,
}

/// Who signed the file; none: it is not signed, and may be so.
fn signed_by(
    options: &RegisterOptions,
    catalog_folder: &Path,
    bytes: &[u8],
    draft: &Draft,
) -> Result<Option<Signer>, CatalogError> {
    let signature_named = !options.signature.is_empty();
    let place = if signature_named {
        options.signature.clone()
    } else {
        format!("{}.minisig", options.location)
    };
    let signature = match file_or_url::read(&place) {
        Ok(signature) => signature,
        Err(_) if !signature_named && options.allow_unsigned => return Ok(None),
        Err(error) => {
            let hint = "sign the file with `minisign -Sm FILE`; a file without a signature needs --allow-unsigned";
            return Err(CatalogError {
                hint: hint.to_owned(),
                ..error
            });
        }
    };
    let mut keys = signature::keys(&options.keys)?;
    keys.extend(signature::trusted(catalog_folder)?);
    let for_any_cloud = keys.len();
    // Whoever registered before may send a newer file of the same cloud.
    keys.extend(
        draft
            .registered
            .values()
            .map(|row| row.key.clone())
            .filter(|key| !key.is_empty()),
    );
    let signing_key = signature::verify(&options.location, &place, bytes, &signature, &keys)?;
    let for_any_cloud = keys
        .iter()
        .take(for_any_cloud)
        .any(|named| *named == signing_key);
    Ok(Some(Signer {
        key: signing_key,
        for_any_cloud,
    }))
}

/// Refuses a file that is signed by the key of another cloud, unless the user trusts that key for
/// this one.
fn is_own_key(
    cloud_file: &CloudFile,
    file: &files::File,
    signer: &Signer,
    draft: &Draft,
) -> Result<(), CatalogError> {
    let cloud = cloud_file.cloud.get_ref();
    if signer.for_any_cloud
        || draft
            .registered
            .get(cloud)
            .is_some_and(|row| row.key == signer.key)
    {
        return Ok(());
    }
    let owners = draft
        .registered
        .iter()
        .filter(|(_, row)| row.key == signer.key)
        .map(|(cloud, _)| format!("`{cloud}`"));
    let owners = owners.collect::<Vec<_>>().join(", ");
    let message =
        format!("it is signed by the key of {owners}, which is trusted for that cloud alone");
    let hint = format!(
        "if `{cloud}` is of the same owner, say so by naming the key: --key {}",
        signer.key
    );
    Err(cloud_file::fault(
        file,
        cloud_file.cloud.span(),
        message,
        &hint,
    ))
}

/// Whether the file holds on the day of the registration.
fn in_force(cloud_file: &CloudFile, file: &files::File, today: Date) -> Result<(), CatalogError> {
    let valid_until = cloud_file.valid_until.get_ref();
    if *valid_until < today.to_string() {
        let message = format!("the file expired on {valid_until}, and today is {today}");
        return Err(cloud_file::fault(
            file,
            cloud_file.valid_until.span(),
            message,
            "get a newer one from whoever offers it",
        ));
    }
    match &cloud_file.valid_from {
        Some(from) if *from.get_ref() > today.to_string() => {
            let message = format!(
                "the file holds from {} on, and today is {today}",
                from.get_ref()
            );
            return Err(cloud_file::fault(
                file,
                from.span(),
                message,
                "register it then",
            ));
        }
        _ => {}
    }
    let date = cloud_file.date.get_ref();
    if *date > today.to_string() {
        let message = format!("its figures are of {date}, and today is {today}");
        return Err(cloud_file::fault(
            file,
            cloud_file.date.span(),
            message,
            "the day of figures is one that has been",
        ));
    }
    Ok(())
}

/// Refuses a name that is taken, or removes what the same cloud registered before.
fn make_room(
    cloud_file: &CloudFile,
    file: &files::File,
    key: Option<&str>,
    options: &RegisterOptions,
    draft: &mut Draft,
) -> Result<bool, CatalogError> {
    let cloud = cloud_file.cloud.get_ref().as_str();
    let of_cloud = |place: &str| place.split(':').next() == Some(cloud);
    let fault = |message: String, hint: &str| {
        cloud_file::fault(file, cloud_file.cloud.span(), message, hint)
    };
    let Some(before) = draft.registered.get(cloud) else {
        let name_taken = draft.places.keys().any(|place| of_cloud(place))
            || draft.machines.keys().any(|(of, _)| of == cloud)
            || draft.clouds.contains_key(cloud);
        let hint = "a cloud joins under a name of its own";
        return if name_taken {
            Err(fault(format!("the name `{cloud}` is taken"), hint))
        } else {
            Ok(false)
        };
    };
    if before.key.is_empty() && key.is_some() && !options.replace {
        let message = format!("the name `{cloud}` is taken: it was registered without a signature");
        return Err(fault(message, "--replace puts this file in its place"));
    }
    if !before.key.is_empty() && before.key != key.unwrap_or_default() {
        let message = format!("the name `{cloud}` is taken: it was registered under another key");
        return Err(fault(
            message,
            "a newer file must be signed by the key that signed the first one",
        ));
    }
    if key.is_none() && !options.replace {
        let message = format!("the name `{cloud}` is taken: it was registered without a signature");
        return Err(fault(message, "--replace puts this file in its place"));
    }
    if before.date > *cloud_file.date.get_ref() {
        let message = format!(
            "the catalog has `{cloud}` as of {}, and this file is of {}",
            before.date,
            cloud_file.date.get_ref()
        );
        return Err(cloud_file::fault(
            file,
            cloud_file.date.span(),
            message,
            "a file of an earlier day is not taken back",
        ));
    }
    let is_newer =
        before.date < *cloud_file.date.get_ref() || before.revision < cloud_file.revision;
    let same_file = before.file_sha256 == *hash::digest(file.text.as_bytes());
    // Without a signature, nothing tells an older file from a newer one but the user.
    if key.is_some() && !is_newer && !same_file && !before.key.is_empty() {
        let message = format!(
            "the catalog has another file of `{cloud}` of {}, revision {}, and this one is revision {}",
            before.date, before.revision, cloud_file.revision
        );
        let hint = "an older file is not taken again; a newer one of the same day has a greater `revision`";
        return Err(cloud_file::fault(
            file,
            cloud_file.date.span(),
            message,
            hint,
        ));
    }
    remove_cloud(draft, cloud);
    Ok(true)
}

/// Removes all rows of a cloud.
fn remove_cloud(draft: &mut Draft, cloud: &str) {
    let of_cloud = |place: &str| place.split(':').next() == Some(cloud);
    draft.places.retain(|place, _| !of_cloud(place));
    draft.machines.retain(|(of, _), _| of != cloud);
    draft.prices.retain(|(of, _), _| of != cloud);
    draft.clouds.remove(cloud);
    draft.confidential.retain(|(of, _, _), _| of != cloud);
    draft.interruptions.retain(|(of, _, _), _| of != cloud);
    draft.egress.retain(|(from, _), _| !of_cloud(from));
    draft
        .throughput
        .retain(|(from, to), _| !of_cloud(from) && !of_cloud(to));
    draft
        .round_trips
        .retain(|(from, to), _| !of_cloud(from) && !of_cloud(to));
    draft.services.retain(|(places, ..), _| !of_cloud(places));
    draft.discounts.retain(|(places, _), _| !of_cloud(places));
    draft.quotas.retain(|(pattern, _), _| !of_cloud(pattern));
}
