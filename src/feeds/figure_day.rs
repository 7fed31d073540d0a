//! The day that figures are of: given, else in the path's name, else when the files were changed.

use super::foreign_csv::unreadable;
use super::{GuessedDay, ImportOptions, ImportReport};
use crate::catalog::CatalogError;
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// The day of the figures of a cloud: the one given for the cloud, the one given for all, the
/// guess. The report says when it is a guess.
pub(super) fn day_of_figures(
    options: &ImportOptions,
    cloud: Option<&str>,
    report: &mut ImportReport,
) -> Result<Date, CatalogError> {
    let of_cloud =
        |text: &&String| cloud.is_some_and(|cloud| text.starts_with(&format!("{cloud}=")));
    let given_day = options
        .dates
        .iter()
        .find(of_cloud)
        .or_else(|| options.dates.iter().find(|text| !text.contains('=')));
    let hint = "every figure is dated: give --date 2026-08-06";
    match (given_day, &options.guess) {
        (Some(text), _) => {
            let day = text.rsplit('=').next().unwrap_or(text);
            day.parse().map_err(|_| {
                CatalogError::file("--date", format!("the date `{day}` is not a day"), hint)
            })
        }
        (None, Some(guess)) => {
            report.note(format!(
                "The figures are dated {}, {}; --date DAY says otherwise.",
                guess.day, guess.why
            ));
            Ok(guess.day)
        }
        (None, None) => Err(CatalogError::file(
            "--date",
            "the day of the figures is not given",
            hint,
        )),
    }
}

/// The day that a path tells. `files` are those that will be read; `named` is the file or folder
/// whose name, or whose folder's name, may have the day in it.
pub(super) fn guess(named: &Path, files: &[PathBuf]) -> Result<GuessedDay, CatalogError> {
    let full_path = std::fs::canonicalize(named).unwrap_or_else(|_| named.to_owned());
    for part in full_path.components().rev().take(2) {
        let name = part.as_os_str().to_string_lossy();
        if let Some(day) = day_in_name(&name) {
            return Ok(GuessedDay {
                day,
                why: format!("the day in the name `{name}`"),
            });
        }
    }
    let mut newest = None;
    for file in files {
        let changed_at = std::fs::metadata(file)
            .and_then(|data| data.modified())
            .map_err(|error| unreadable(file, &error))?;
        newest = newest.max(Some(changed_at));
    }
    let day = newest.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let day = day.map(|time| time.to_zoned(jiff::tz::TimeZone::UTC).date());
    let day_meaning = match files {
        [_] => "the day when the file was last changed",
        _ => "the day when the newest of the files was last changed",
    };
    let shown_name = named.display().to_string();
    day.map(|day| GuessedDay {
        day,
        why: day_meaning.to_owned(),
    })
    .ok_or_else(|| {
        CatalogError::file(
            shown_name,
            "no day is known of these figures",
            "give --date 2026-08-06",
        )
    })
}

/// The last `YYYY-MM-DD` in a name that is a day and no part of a longer number.
fn day_in_name(name: &str) -> Option<Date> {
    let bytes = name.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    (0..name.len()).rev().find_map(|start| {
        let text = name.get(start..start + 10)?;
        let is_dashed = text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        let stands_alone = !digit(start.checked_sub(1)) && !digit(Some(start + 10));
        if is_dashed && stands_alone {
            text.parse().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_days() {
        let day = |name| day_in_name(name).map(|day| day.to_string());
        assert_eq!(day("skypilot-v5-2024-11-03").unwrap(), "2024-11-03");
        assert_eq!(day("2024-11-03_to_2025-01-31.csv").unwrap(), "2025-01-31");
        for none in [
            "",
            "v5",
            "2024-11",
            "2024-13-03",
            "2023-02-29",
            "12024-11-03",
            "2024-11-031",
            "2024_11_03",
            "é",
        ] {
            assert_eq!(day(none), None, "{none}");
        }
    }

    #[test]
    fn the_folder_may_tell_the_day_and_else_the_files_do() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("list-2024-11-03").join("aws");
        std::fs::create_dir_all(inner.join("deep")).unwrap();
        let file = inner.join("deep/vms.csv");
        std::fs::write(&file, "").unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        std::fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(time)
            .unwrap();
        let files = [file];
        assert_eq!(
            guess(&inner, &files).unwrap().why,
            "the day in the name `list-2024-11-03`"
        );
        let guessed = guess(&inner.join("deep"), &files).unwrap();
        assert_eq!(
            (
                guessed.day.to_string().as_str(),
                guessed.why.contains("changed")
            ),
            ("2023-11-14", true)
        );
        assert!(guess(&inner.join("deep"), &[]).is_err());
    }
}
