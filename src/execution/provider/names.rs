//! The names of the providers.

pub use crate::model::hosts::{KUBERNETES, SLURM, SSH};

/// The name of the provider that runs stages as processes on this machine.
pub const LOCAL: &str = "local";

/// The name of the simulated cloud.
pub const SIM: &str = "sim";

/// The name of Amazon Web Services.
pub const AWS: &str = "aws";
/// The name of Microsoft Azure.
pub const AZURE: &str = "azure";
/// The name of Google Cloud.
pub const GCP: &str = "gcp";

/// The providers of this build.
pub const NAMES: &[&str] = &[
    LOCAL,
    SIM,
    SSH,
    SLURM,
    #[cfg(feature = "kubernetes")]
    KUBERNETES,
    #[cfg(feature = "aws")]
    AWS,
    #[cfg(feature = "azure")]
    AZURE,
    #[cfg(feature = "gcp")]
    GCP,
];

/// What is said of a provider that this build does not have.
pub fn unknown(name: &str) -> String {
    if [AWS, AZURE, GCP, KUBERNETES].contains(&name) {
        return format!(
            "this sky was built without the provider `{name}`: build it with `--features {name}`, as it is by default"
        );
    }
    format!(
        "this sky has no provider `{name}`; it has {}",
        NAMES.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_lacks_is_said() {
        let kinds = [
            (AWS, cfg!(feature = "aws")),
            (AZURE, cfg!(feature = "azure")),
            (GCP, cfg!(feature = "gcp")),
            (KUBERNETES, cfg!(feature = "kubernetes")),
        ];
        for (name, built) in kinds {
            assert_eq!(NAMES.contains(&name), built);
            assert!(
                unknown(name).contains("built without") && unknown(name).contains("--features")
            );
        }
        assert!(unknown("x").contains("local, sim, ssh"));
    }
}
