//! The text format of catalogs: its version, the names of its files, the columns of its tables, and
//! the units of its figures. `catalog/README.md` explains it for people.

use crate::model::Gigabyte;

/// The version of the format that this program reads and writes.
pub(crate) const FORMAT: u32 = 1;

/// The file that makes a folder a catalog.
pub const CATALOG: &str = "catalog.toml";

/// A table of a catalog: its file, all its columns in order, and how many of the first ones it must
/// have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableFormat {
    /// The file name, such as `places.csv`, relative to the catalog.
    pub file: &'static str,
    /// All columns that the table may have, in the order in which they are written.
    pub columns: &'static [&'static str],
    /// The first so many columns must be in the header.
    pub required: usize,
}

/// Places: regions of clouds, with their country and operator.
pub(crate) const PLACES: TableFormat = TableFormat {
    file: "places.csv",
    columns: &[
        "place",
        "country",
        "location",
        "operator",
        "us_cloud_act",
        "source",
        "parent",
        "class",
        "evidence",
        "parent_country",
    ],
    required: 1,
};

/// Machine types; in a folder of a cloud's name the table has no column `cloud`.
pub(crate) const MACHINES: TableFormat = TableFormat {
    file: "machines.csv",
    columns: &[
        "instance_type",
        "vcpus",
        "memory_gib",
        "accelerator",
        "count",
        "arch",
        "source",
        "cloud",
    ],
    required: 3,
};

/// Prices of machines; `region` is a column of tables in a cloud's folder, `place` of the one
/// beside `catalog.toml`.
pub(crate) const PRICES: TableFormat = TableFormat {
    file: "prices.csv",
    columns: &[
        "instance_type",
        "on_demand",
        "source",
        "spot",
        "spot_source",
        "region",
        "place",
    ],
    required: 3,
};

/// Accelerators: their other names, rates and memory.
pub(crate) const ACCELERATORS: TableFormat = TableFormat {
    file: "accelerators.csv",
    columns: &[
        "name",
        "aliases",
        "fp32",
        "fp16",
        "bf16",
        "fp8",
        "source",
        "memory_gib",
        "interconnect",
        "topology",
        "frameworks",
        "evidence",
        "kinds",
    ],
    required: 1,
};

/// Machines with a confidential-computing environment.
pub(crate) const CONFIDENTIAL: TableFormat = TableFormat {
    file: "confidential.csv",
    columns: &[
        "cloud",
        "instance_type",
        "tee",
        "places",
        "source",
        "evidence",
    ],
    required: 5,
};

/// Baselines of burstable machines.
pub(crate) const BURSTABLE: TableFormat = TableFormat {
    file: "burstable.csv",
    columns: &[
        "cloud",
        "instance_types",
        "baseline_vcpus",
        "source",
        "evidence",
    ],
    required: 4,
};

/// What is rented with every machine: a boot disk and a public address.
pub(crate) const MACHINE_EXTRAS: TableFormat = TableFormat {
    file: "machine_extras.csv",
    columns: &[
        "cloud",
        "boot_disk_gib",
        "disk_usd_per_gib_month",
        "disk_sizes_gib",
        "public_ipv4_usd_per_hour",
        "spot_public_ipv4_usd_per_hour",
        "source",
        "evidence",
        "places",
    ],
    required: 1,
};

/// Certifications of places.
pub(crate) const CERTIFICATIONS: TableFormat = TableFormat {
    file: "certifications.csv",
    columns: &[
        "scheme", "status", "places", "source", "operator", "since", "evidence",
    ],
    required: 4,
};

/// Prices of data that leaves a place.
pub(crate) const EGRESS: TableFormat = TableFormat {
    file: "egress.csv",
    columns: &["from", "to", "above_gb", "usd_per_gb", "source"],
    required: 5,
};

/// Measured throughput between places.
pub(crate) const THROUGHPUT: TableFormat = TableFormat {
    file: "throughput.csv",
    columns: &["from", "to", "gbps", "source"],
    required: 4,
};

/// How clouds bill and boot.
pub(crate) const CLOUDS: TableFormat = TableFormat {
    file: "clouds.csv",
    columns: &[
        "cloud",
        "increment_s",
        "minimum_s",
        "boot_s",
        "free_egress_gb",
        "storage_usd_per_gb_month",
        "source",
        "evidence",
        "gb_bytes",
    ],
    required: 1,
};

/// How often spot machines are interrupted.
pub(crate) const INTERRUPTIONS: TableFormat = TableFormat {
    file: "interruptions.csv",
    columns: &[
        "cloud",
        "instance_type",
        "percent_per_month",
        "regions",
        "source",
    ],
    required: 5,
};

/// Measured round trips between places.
pub(crate) const ROUND_TRIPS: TableFormat = TableFormat {
    file: "round_trips.csv",
    columns: &["from", "to", "ms", "source"],
    required: 4,
};

/// Services: what is billed by a unit of its own and not by the machine.
pub(crate) const SERVICES: TableFormat = TableFormat {
    file: "services.csv",
    columns: &[
        "places",
        "service",
        "unit",
        "price",
        "source",
        "version",
        "product",
        "vcpus",
        "memory_gib",
        "evidence",
    ],
    required: 5,
};

/// Discounts on the prices of machines.
pub(crate) const DISCOUNTS: TableFormat = TableFormat {
    file: "discounts.csv",
    columns: &["places", "instance_types", "percent", "source", "evidence"],
    required: 4,
};

/// What clouds rent out at most to one account.
pub(crate) const QUOTAS: TableFormat = TableFormat {
    file: "quotas.csv",
    columns: &["where", "what", "most", "source", "evidence"],
    required: 4,
};

/// Clouds that were registered by a file of their own. Nothing in this table is needed to plan.
pub(crate) const REGISTERED: TableFormat = TableFormat {
    file: "joined.csv",
    columns: &[
        "cloud",
        "about",
        "date",
        "valid_from",
        "valid_until",
        "key",
        "file_sha256",
        "url",
        "revision",
    ],
    required: 1,
};

/// Machine types that their cloud has announced to retire.
pub(crate) const RETIREMENTS: TableFormat = TableFormat {
    file: "retirements.csv",
    columns: &[
        "cloud",
        "instance_types",
        "retires",
        "source",
        "places",
        "evidence",
    ],
    required: 4,
};

/// How prices of machine types changed between two lists.
pub(crate) const PRICE_CHANGES: TableFormat = TableFormat {
    file: "price_changes.csv",
    columns: &[
        "cloud",
        "instance_type",
        "from_source",
        "to_source",
        "ratio",
    ],
    required: 5,
};

/// Rows of price lists that an import left out.
pub(crate) const DROPPED_ROWS: TableFormat = TableFormat {
    file: "dropped.csv",
    columns: &["cloud", "instance_type", "reason", "rows", "source"],
    required: 5,
};

/// All tables that may lie beside `catalog.toml`.
pub(crate) const TABLES: [TableFormat; 20] = [
    PLACES,
    MACHINES,
    PRICES,
    ACCELERATORS,
    CONFIDENTIAL,
    BURSTABLE,
    MACHINE_EXTRAS,
    CERTIFICATIONS,
    EGRESS,
    THROUGHPUT,
    CLOUDS,
    INTERRUPTIONS,
    ROUND_TRIPS,
    SERVICES,
    DISCOUNTS,
    QUOTAS,
    REGISTERED,
    RETIREMENTS,
    PRICE_CHANGES,
    DROPPED_ROWS,
];

/// Milliseconds of a second: times are written in seconds.
pub(crate) const MILLIS_PER_SECOND: i64 = 1000;

/// Nano-USD of a dollar, and bytes of a gigabyte: prices and volumes have at most nine decimals.
pub(crate) const NANO: i64 = 1_000_000_000;

/// Parts per million of a percent.
pub(crate) const PPM_PER_PERCENT: i64 = 10_000;

/// Parts per million of a whole: ratios and shares are kept in them.
pub(crate) const PPM: i64 = 1_000_000;

/// What a GB may be by which a cloud bills.
pub(crate) const GIGABYTES: [Gigabyte; 2] = [Gigabyte::DECIMAL, Gigabyte::BINARY];

/// The cloud that a table in a folder is about, and its file name without `.csv`.
pub(crate) fn folder_and_stem(name: &str) -> Option<(&str, &str)> {
    let (cloud, file) = name.split_once('/')?;
    Some((cloud, file.strip_suffix(".csv")?))
}
