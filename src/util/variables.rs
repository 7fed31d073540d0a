//! The registry of the environment variables that sky reads or sets. Code names a variable by its
//! constant here, and the topic `environment` of the guide is made from this list.

/// An environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name of the variable, as a shell sets it.
    pub name: &'static str,
    /// Who reads the variable, and for what kind of thing.
    pub group: Group,
    /// What the variable says: a sentence for the guide, in Markdown.
    pub meaning: &'static str,
    /// What applies while the variable is not set, in Markdown; empty if that needs no word.
    pub default: &'static str,
}

/// What a variable is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Settings that an option of the command line can say too.
    Setting,
    /// How sky talks to people.
    Screen,
    /// Machines that are reached over SSH.
    Ssh,
    /// Amazon Web Services.
    Aws,
    /// Google Cloud.
    Gcp,
    /// Microsoft Azure.
    Azure,
    /// Where live prices come from.
    LivePrices,
    /// What sky sets for the command of a stage.
    Command,
    /// What the machine and other programs set, and sky reads.
    Machine,
    /// What tests of sky itself set.
    Testing,
}

impl Group {
    /// All groups, in the order of the guide.
    pub const ALL: [Self; 10] = [
        Self::Setting,
        Self::Screen,
        Self::Command,
        Self::Ssh,
        Self::Aws,
        Self::Gcp,
        Self::Azure,
        Self::LivePrices,
        Self::Machine,
        Self::Testing,
    ];

    /// Returns the heading of the group in the guide.
    pub fn title(self) -> &'static str {
        match self {
            Self::Setting => "Settings that an option can say too",
            Self::Screen => "What sky prints, and whether it asks",
            Self::Ssh => "Machines over SSH",
            Self::Aws => "Amazon Web Services",
            Self::Gcp => "Google Cloud",
            Self::Azure => "Microsoft Azure",
            Self::LivePrices => "Live prices",
            Self::Command => "What the command of a stage sees",
            Self::Machine => "What the machine and other programs set",
            Self::Testing => "For tests of sky itself",
        }
    }

    /// Returns what the guide says of the whole group.
    pub fn introduction(self) -> &'static str {
        match self {
            Self::Setting => "The option wins where both are given.",
            Self::Screen => "These hold for every verb.",
            Self::Ssh => {
                "These hold for your own hosts (`sky guide ssh`) and for the machines that sky \
                 creates at clouds, unless the table says otherwise."
            }
            Self::Aws => "`sky guide aws` tells more.",
            Self::Gcp => "`sky guide gcp` tells more.",
            Self::Azure => "`sky guide azure` tells more.",
            Self::LivePrices => {
                "`sky catalog update` reads these (`sky guide live-prices`). The addresses are for \
                 mirrors and for tests."
            }
            Self::Command => {
                "sky sets these for the command of each stage. A job cannot set a variable whose \
                 name begins with `SKY_`."
            }
            Self::Machine => {
                "sky reads these as other programs do. The libraries that talk to clouds read more \
                 of them: the AWS SDK all of the usual `AWS_…` variables, and every client the \
                 proxies in `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`."
            }
            Self::Testing => "Nobody needs these for work.",
        }
    }
}

/// Makes a constant of each variable, and the list of all.
macro_rules! variables {
    ($([$group:ident] $($name:ident $meaning:literal, $default:literal;)*)*) => {
        $($(
            #[doc = concat!("The variable `", stringify!($name), "`: ", $meaning)]
            pub const $name: Variable = Variable {
                name: stringify!($name),
                group: Group::$group,
                meaning: $meaning,
                default: $default,
            };
        )*)*

        /// All variables, by group, in the order of the guide.
        pub const VARIABLES: &[Variable] = &[$($($name,)*)*];
    };
}

variables! {
    [Setting]
    SKY_CATALOG "The folder of the catalog (`--catalog`).", "the catalog that `sky.lock` pins, else the built-in one";
    SKY_HOSTS "The file of your own hosts and clusters (`--hosts`).", "`hosts.toml` in the working folder, if it is there";
    SKY_DATA_DIR "The folder of the state (`--state-dir`).", "`.sky` in the working folder";
    SKY_STATE "Where the state is: a folder, or the address of a bucket (`--state`).", "the working folder";
    SKY_STATE_RECIPIENTS "The public keys that the state is encrypted for (`--state-recipients`).", "the state is not encrypted";
    SKY_STATE_IDENTITY "The file of the private key that decrypts the state (`--state-identity`).", "";
    SKY_LOCK_LEASE "How long the lock of a state lasts without being renewed (`--lock-lease`).", "`1m`";
    SKY_GRACE "How long stages have to end after a signal (`--grace`).", "`10s`";
    SKY_LOG_LIMIT "How much of a log is kept (`--log-limit`).", "`100 MB`";
    SKY_OUTPUT_LIMIT "The largest output that is copied (`--output-limit`).", "ten times the declared size, and 1 GiB at least";
    SKY_STAGING "Whether data goes through buckets or through this machine (`--staging`).", "buckets where the provider can use them";
    SKY_SIM "The folder of the simulated cloud (`--sim`).", "`cloud` in the folder of the state";
    SKY_CACHE_DIR "Where `sky catalog update` keeps what it has fetched (`--cache`).", "`$XDG_CACHE_HOME/sky`, else `~/.cache/sky`";

    [Screen]
    SKY_INPUT "`0` or `false`: sky never asks a question, as with `--input=false`.", "sky asks where a person can answer";
    SKY_IN_AUTOMATION "Anything: sky leaves out hints on what to type next.", "";
    CI "Anything: the same as `SKY_IN_AUTOMATION`.", "";
    NO_COLOR "Anything: no colours, unless `--color=always` is given.", "";
    TERM "`dumb`: no colours, and no lines that change.", "";
    COLUMNS "The width that tables are made for.", "the width of the terminal; without a terminal, tables are as wide as they need";
    PAGER "The program that `sky guide TOPIC` shows a text with on a terminal; empty or `cat`: none.", "`less`";
    LESS "The options of `less`.", "`FRX`";

    [Command]
    SKY_INPUTS "The folder of the inputs: `$SKY_INPUTS/ARTIFACT` is there when the command begins.", "";
    SKY_OUTPUTS "The folder of the outputs: the command writes `$SKY_OUTPUTS/ARTIFACT`.", "";
    SKY_CHECKPOINT "The folder of the stage's progress, if the stage has a `checkpoint`.", "";
    SKY_JOB "The name of the job.", "";
    SKY_STAGE "The name of the stage; of a stage with `count`, that of the replica.", "";
    SKY_INDEX "Which replica of a stage with `count` this is, from 0.", "";
    SKY_COUNT "The number of replicas of the stage.", "";
    SKY_NODES "The number of machines of the gang.", "";
    SKY_NODE "Which machine of the gang this is, from 0.", "";
    SKY_NODE_ADDRESSES "The addresses at which the machines of a gang reach each other, in order, with spaces between; set at clouds, for gangs.", "";
    SKY_TOKEN "The name of this attempt. No other attempt has it.", "";

    [Ssh]
    SKY_SSH_CONFIG "A file in the form of `~/.ssh/config` that is used in its place, for instance with a jump host.", "`~/.ssh/config`";
    SKY_SSH_KEY "The private key to log in with at machines of clouds. The public key lies beside it, with `.pub` at its end.", "`.sky/keys/client`, which sky makes when it needs it";
    SKY_SSH_USER "The user that commands run as at machines of clouds. `root` can install packages.", "`sky`";
    SKY_SSH_FROM "The addresses or networks that may reach the machines of clouds over SSH, with commas between.", "the address that the cloud sees this machine under";

    [Aws]
    SKY_AWS_IMAGE "The image of the machines: `ami-…`, or `OWNER/NAME` with `*` in the name. It needs cloud-init and systemd.", "Ubuntu 24.04; for NVIDIA and Neuron cards Amazon's Deep Learning Base on Ubuntu 22.04";
    SKY_AWS_REGIONS "The regions to look for machines in, with commas between.", "all regions that the account has enabled";
    AWS_PROFILE "The profile of `~/.aws` to use.", "";
    AWS_ACCESS_KEY_ID "The id of an access key; its secret is in `AWS_SECRET_ACCESS_KEY`.", "";
    AWS_WEB_IDENTITY_TOKEN_FILE "A token that stands for a role, as CI systems give.", "";
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI "Where a container gets credentials.", "";
    AWS_REGION "The region to ask where any would do.", "`AWS_DEFAULT_REGION`, else `us-east-1`";
    AWS_DEFAULT_REGION "The same, if `AWS_REGION` is not set.", "`us-east-1`";

    [Gcp]
    SKY_GCP_PROJECT "The id of the project.", "`GOOGLE_CLOUD_PROJECT`, else the project of the credentials";
    SKY_GCP_IMAGE "The image of the machines, as `projects/P/global/images/family/F`. It needs cloud-init, and drivers if the machine has cards.", "Ubuntu 24.04";
    SKY_GCP_NETWORK "The network of the machines.", "`default`";
    SKY_GCP_SUBNETWORK "The subnetwork, where the network does not make its own.", "";
    SKY_GCP_TPU_VERSION "The software of TPU machines, such as `tpu-ubuntu2204-base`.", "the one of their generation";
    SKY_GCP_MAX_DAYS "After how many days, from 1 to 120, Google deletes a machine whatever its leases say.", "7 days and the first lease";
    SKY_GCP_ENDPOINT "Another address of Google's APIs. One without TLS is sent no credentials.", "";
    GOOGLE_CLOUD_PROJECT "The id of the project, if `SKY_GCP_PROJECT` is not set.", "";
    GOOGLE_APPLICATION_CREDENTIALS "The file of the credentials.", "the file that `gcloud auth application-default login` writes";
    GCE_METADATA_HOST "The address of Google's metadata server, which gives credentials on machines of Google.", "";
    GOOGLE_SERVICE_ACCOUNT "The file of a service account's key, for Cloud Storage alone.", "";
    GOOGLE_SERVICE_ACCOUNT_PATH "The same under its other name.", "";

    [Azure]
    SKY_AZURE_SUBSCRIPTION "The id of the subscription.", "`AZURE_SUBSCRIPTION_ID`, else the default one of `az`";
    SKY_AZURE_IMAGE "The image of the machines, as `PUBLISHER:OFFER:SKU:VERSION` or by its id. It needs cloud-init, and drivers if the machine has cards.", "Ubuntu 24.04, as the machine type needs it";
    SKY_AZURE_ENDPOINT "Another address of the Resource Manager, for instance of Azure Government.", "`https://management.azure.com`";
    AZURE_SUBSCRIPTION_ID "The id of the subscription, if `SKY_AZURE_SUBSCRIPTION` is not set.", "";
    AZURE_CONFIG_DIR "The folder of `az`'s configuration.", "`~/.azure`";
    AZURE_STORAGE_ACCOUNT_NAME "The storage account that containers are in.", "";

    [LivePrices]
    SKY_GCP_API_KEY "A key of Google's Cloud Billing Catalog API.", "`GOOGLE_API_KEY`; without either, Google's live prices are left out";
    GOOGLE_API_KEY "The same, if `SKY_GCP_API_KEY` is not set.", "";
    SKY_AWS_PRICES_URL "The address of Amazon's `region_index.json`, or of a server with Amazon's paths.", "Amazon's own";
    SKY_AWS_SPOT_ADVISOR_URL "The address of Amazon's spot advisor.", "Amazon's own";
    SKY_AZURE_PRICES_URL "The address of Microsoft's retail prices.", "Microsoft's own";
    SKY_GCP_PRICES_URL "The address of Google's price list, which ends in `/services`.", "Google's own";
    SKY_SKYPILOT_URL "The address of the folder of SkyPilot's catalogs, the one with `v8/`.", "SkyPilot's own";
    SKY_SKYPILOT_COMMITS_URL "The address that tells the days of SkyPilot's lists.", "GitHub's, if `SKY_SKYPILOT_URL` is not set";
    SKY_CATALOG_URL "A catalog in sky's own format, a folder or an address (`--from`).", "";

    [Machine]
    HOME "Your home folder.", "";
    XDG_CACHE_HOME "The folder of caches.", "`~/.cache`";
    KUBECONFIG "The configuration of `kubectl`, with the clusters that `hosts.toml` names.", "`~/.kube/config`";
    USER "Your name, which the lock of a state shows to others.", "";
    LOGNAME "Your name, if `USER` is not set.", "the number of your user";
    HOSTNAME "The name of this machine, where the system does not tell it.", "`localhost`";
    SHELL "Handed on to commands that run on this machine.", "";
    PATH "Handed on to commands that run on this machine.", "";

    [Testing]
    SKY_CRASH_AT "In debug builds: the number of the point at which sky kills itself.", "";
    SKY_CRASH_LOG "In debug builds: the file that gets a line for every point that was passed.", "";
    SKY_TEST_LEASE_SLACK_MS "Another margin of leases, in milliseconds.", "";
    SKY_STAGING_CHUNK "The size of the parts in which data is copied, in MiB.", "";
}
